/* SPDX-License-Identifier: MIT */
/*
 * Zero copy over a backend that answers as it is told: results and notifications late, out of order,
 * with errors, at close, at destroy, never. That a buffer is unchanged when the kernel lets it go, and
 * that every record ends exactly once, is asserted on the way.
 */
#include "engine_zerocopy.h"

#include <errno.h>

void begin_with(struct sluice_options *options, struct pair *pair)
{
	begin_over(true, options);
	tcp_pair(&fixture, pair, 0);
}

struct sluice_options options_of(uint32_t way, uint32_t zerocopy)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	options.transmit_way = way;
	options.zerocopy = zerocopy;
	return options;
}

void begin_zerocopy(struct pair *pair)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);

	begin_with(&options, pair);
}

void begin_auto(struct pair *pair)
{
	struct sluice_options options = options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_AUTO);

	options.gather_bytes = LARGE;
	begin_with(&options, pair);
}

struct sluice_engine_statistics statistics(void)
{
	struct sluice_engine_statistics now = {.size = sizeof now};

	cr_assert_eq(sluice_engine_statistics(fixture.engine, &now), 0);
	return now;
}

uint32_t learned(struct sluice_socket *socket)
{
	struct sluice_socket_statistics now = {.size = sizeof now};

	cr_assert_eq(sluice_socket_statistics(socket, &now), 0);
	return now.zerocopy;
}

uint32_t flying(void)
{
	uint32_t found = UINT32_MAX;

	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (noted->kind != SLUICE__REQUEST_SEND_ZEROCOPY || noted->told || noted->answered)
			continue;
		cr_assert_eq(found, UINT32_MAX, "more than one is in flight");
		found = i;
	}
	cr_assert_neq(found, UINT32_MAX, "nothing is in flight by zero copy");
	return found;
}

uint32_t fly(struct sluice_socket *socket, struct operation *operation, size_t position,
	     size_t length)
{
	operation_init(operation, &fixture);
	cr_assert_eq(start_send(socket, operation, pattern + position, length), 1);
	run();
	return flying();
}

uint32_t taken(struct sluice_socket *socket, struct operation *operation, size_t position,
	       size_t length)
{
	uint32_t index = fly(socket, operation, position, length);

	scripted_tell(index, (int32_t)length);
	run();
	cr_assert_not(is_over(operation), "a record ended while its buffer was in use");
	return index;
}

void let_go(uint32_t index)
{
	scripted_free(index, false);
	run();
}

/* ---- b11 ---- */

SCRIPTED_TEST(b11, b11_a_record_ends_when_its_buffer_is_free, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = taken(pair->socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_queued_bytes(pair->socket), 0);
	cr_assert_eq(statistics().zerocopy_pending, 1);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(statistics().zerocopy_pending, 0);
	cr_assert_eq(statistics().zerocopy_sends, 1);
	cr_assert_eq(scripted.attempt_count, 0);
	scripted_assert_stream(pair->socket, SIZE);
}

SCRIPTED_TEST(b11, b11_a_result_without_a_notification_ends_the_record, begin_zerocopy)
{
	struct operation operation;

	scripted_answer(fly(pair->socket, &operation, 0, SIZE), SIZE);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
}

SCRIPTED_TEST(b11, b11_both_answers_may_come_in_one_turn, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = fly(pair->socket, &operation, 0, SIZE);
	scripted_tell(index, SIZE);
	scripted_free(index, true);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
}

SCRIPTED_TEST(b11, b11_the_next_transmission_waits_for_the_result_alone, begin_zerocopy)
{
	struct operation operations[3];
	uint32_t first, second;

	first = taken(pair->socket, &operations[0], 0, SIZE);
	second = fly(pair->socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair->socket, &operations[2], pattern + 2 * SIZE, SIZE), 1);
	run();
	cr_assert_eq(scripted.request_count, 2, "two transmissions are in flight");
	scripted_tell(second, SIZE);
	run();
	run();
	scripted_tell(flying(), SIZE);
	for (uint32_t i = first; i < 3; i++)
		scripted_free(i, false);
	run();
	cr_assert(are_over(operations, 3));
	scripted_assert_stream(pair->socket, 3 * SIZE);
}

SCRIPTED_TEST(b11, b11_handlers_run_in_order_however_the_buffers_come_free, begin_zerocopy)
{
	static const int order[] = {3, 1, 4, 0, 2};
	struct operation operations[5];
	uint32_t indexes[5];

	for (size_t i = 0; i < 5; i++)
		indexes[i] = taken(pair->socket, &operations[i], i * SIZE, SIZE);
	for (size_t i = 0; i < 5; i++) {
		let_go(indexes[order[i]]);
		cr_assert_eq(fixture.handled, i < 3 ? 0 : i == 3 ? 2 : 5);
	}
	for (size_t i = 0; i < 5; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, SIZE);
		cr_assert_eq(operations[i].turn, i + 1);
	}
}

Test(b11, b11_what_is_copied_behind_waits_for_its_turn_but_not_inside_its_start)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_ALWAYS);
	struct operation large, small, eager;
	struct pair pair;
	uint32_t index;

	begin_with(&options, &pair);
	index = taken(pair.socket, &large, 0, LARGE);
	operation_init(&small, &fixture);
	small.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair.socket, &small, pattern + LARGE, 10), 1);
	run();
	cr_assert_eq(scripted.attempt_count, 1);
	cr_assert_not(is_over(&small));
	operation_init(&eager, &fixture);
	cr_assert_eq(start_send(pair.socket, &eager, pattern + LARGE + 10, 10), 0);
	let_go(index);
	assert_ended(&large, SLUICE_ERROR_SUCCESS, LARGE);
	assert_ended(&small, SLUICE_ERROR_SUCCESS, 10);
	cr_assert_lt(large.turn, small.turn);
	scripted_assert_stream(pair.socket, LARGE + 20);
	end_over(&pair);
}

SCRIPTED_TEST(b11, b11_short_counts_lose_nothing_and_the_record_waits_for_all_of_its_parts,
	      begin_zerocopy)
{
	struct operation operation;
	uint32_t indexes[3];

	indexes[0] = fly(pair->socket, &operation, 0, SIZE);
	scripted_tell(indexes[0], 4000);
	run();
	run();
	indexes[1] = flying();
	cr_assert_eq(scripted.requests[indexes[1]].bytes, SIZE - 4000);
	scripted_tell(indexes[1], 1);
	run();
	run();
	indexes[2] = flying();
	scripted_tell(indexes[2], SIZE - 4001);
	run();
	scripted_free(indexes[2], false);
	let_go(indexes[0]);
	cr_assert_not(is_over(&operation));
	let_go(indexes[1]);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	scripted_assert_stream(pair->socket, SIZE);
}

SCRIPTED_TEST(b11, b11_many_buffers_may_be_in_use_at_once, begin_zerocopy)
{
	enum {
		MANY = 100
	};
	static struct operation operations[MANY];
	uint32_t indexes[MANY];

	for (size_t i = 0; i < MANY; i++)
		indexes[i] = taken(pair->socket, &operations[i], i * 100, 100);
	cr_assert_eq(statistics().zerocopy_pending, MANY);
	for (size_t i = MANY; i-- > 0;)
		scripted_free(indexes[i], i % 2);
	run();
	cr_assert(are_over(operations, MANY));
	cr_assert_eq(statistics().zerocopy_copied, MANY / 2);
	scripted_assert_stream(pair->socket, 100 * MANY);
}

/* The completion queue has space for so many notifications. */
Test(b11, b11_the_ring_is_not_flooded_with_notifications)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operations[6];
	struct pair pair;
	uint32_t indexes[4];

	options.ring_entries = 1;
	begin_with(&options, &pair);
	for (size_t i = 0; i < 4; i++)
		indexes[i] = taken(pair.socket, &operations[i], i * 100, 100);
	for (size_t i = 4; i < 6; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], pattern + i * 100, 100), 0);
	}
	for (size_t i = 0; i < 4; i++)
		scripted_free(indexes[i], false);
	run();
	cr_assert(are_over(operations, 6));
	scripted_assert_stream(pair.socket, 600);
	end_over(&pair);
}

/* ---- errors ---- */

SCRIPTED_TEST(b11, b11_an_error_whose_buffer_is_in_use_ends_the_record_when_it_is_free,
	      begin_zerocopy)
{
	struct operation operations[3];
	uint32_t first, second;

	first = taken(pair->socket, &operations[0], 0, SIZE);
	second = fly(pair->socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair->socket, &operations[2], pattern, SIZE), 1);
	scripted_tell(second, -ECONNRESET);
	run();
	cr_assert_eq(fixture.handled, 0);
	scripted_free(second, false);
	let_go(first);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_CONNECTION_RESET, 0);
	assert_ended(&operations[2], SLUICE_ERROR_SHUTDOWN, 0);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(operations[i].turn, i + 1);
}

SCRIPTED_TEST(b11, b11_an_error_behind_a_short_count_keeps_the_bytes_and_waits_for_them,
	      begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = fly(pair->socket, &operation, 0, SIZE);
	scripted_tell(index, 123);
	run();
	run();
	scripted_answer(flying(), -ECONNRESET);
	run();
	cr_assert_not(is_over(&operation));
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_RESET, 123);
}

static void refuse(int error_number, bool with_notification)
{
	struct operation operations[2];
	struct pair pair;
	uint32_t index;

	begin_zerocopy(&pair);
	index = fly(pair.socket, &operations[0], 0, SIZE);
	if (with_notification)
		scripted_tell(index, -error_number);
	else
		scripted_answer(index, -error_number);
	run();
	run();
	cr_assert_eq(scripted.attempt_count, 1, "what was refused was not copied");
	if (with_notification) {
		cr_assert_not(is_over(&operations[0]));
		let_go(index);
	}
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	operation_init(&operations[1], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[1], pattern + SIZE, SIZE), 0,
		     "it was tried again at once");
	cr_assert_eq(statistics().zerocopy_failed, 1);
	cr_assert_eq(statistics().zerocopy_sends, 0);
	cr_assert_eq(statistics().zerocopy_rests, 1);
	scripted_assert_stream(pair.socket, 2 * SIZE);
	end_over(&pair);
}

Test(b11, b11_what_the_kernel_refuses_is_copied)
{
	static const int errors[] = {ENOMEM, ENOBUFS, EFAULT, EOPNOTSUPP, EINVAL, EPERM};

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		refuse(errors[i], false);
		refuse(errors[i], true);
	}
}

SCRIPTED_TEST(b11, b11_a_socket_that_cannot_does_not_speak_for_others, begin_zerocopy)
{
	struct operation operations[2];
	struct pair other;

	tcp_pair(&fixture, &other, 0);
	scripted_answer(fly(pair->socket, &operations[0], 0, SIZE), -EOPNOTSUPP);
	run();
	run();
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_IMPOSSIBLE);
	let_go(taken(other.socket, &operations[1], 0, SIZE));
	cr_assert(are_over(operations, 2));
	pair_close(&other);
}

SCRIPTED_TEST(b11, b11_a_kernel_that_knows_none_of_it_is_not_asked_again, begin_zerocopy)
{
	struct operation operations[2];
	struct pair other;

	tcp_pair(&fixture, &other, 0);
	scripted_answer(fly(pair->socket, &operations[0], 0, SIZE), -EINVAL);
	run();
	run();
	cr_assert_not(statistics().capabilities & SLUICE_CAPABILITY_ZEROCOPY);
	operation_init(&operations[1], &fixture);
	cr_assert_eq(start_send(other.socket, &operations[1], pattern, SIZE), 0);
	cr_assert(are_over(operations, 2));
	pair_close(&other);
}

SCRIPTED_TEST(b11, b11_a_request_that_cannot_be_made_is_copied, begin_zerocopy)
{
	struct operation operation;

	operation_init(&operation, &fixture);
	scripted_start_answers(-EAGAIN);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, SIZE), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(statistics().zerocopy_pending, 0);
}

SCRIPTED_TEST(b11, b11_full_sockets_are_waited_for, begin_zerocopy)
{
	struct operation operation;
	uint32_t index;

	index = fly(pair->socket, &operation, 0, SIZE);
	scripted_tell(index, -EAGAIN);
	run();
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	let_go(index);
	run();
	index = flying();
	scripted_tell(index, SIZE);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
}
