/* SPDX-License-Identifier: MIT */
/*
 * Zero copy over a backend that answers as it is told: results and notifications late, out of order,
 * with errors, at close, at destroy, never. That a buffer is unchanged when the kernel lets it go, and
 * that every record ends exactly once, is asserted on the way.
 */
#include "scripted.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PATTERN 1000000
#define SIZE 10000 /* of a record, where it does not matter */
#define LARGE 65536

static struct fixture fixture;
static unsigned char pattern[PATTERN];

static void begin_with(struct sluice_options *options, struct pair *pair)
{
	pattern_fill(pattern, sizeof pattern, 0);
	scripted_begin_with(&fixture, true, options);
	tcp_pair(&fixture, pair, 0);
}

static struct sluice_options options_of(uint32_t way, uint32_t zerocopy)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof options);
	options.transmit_way = way;
	options.zerocopy = zerocopy;
	return options;
}

/* Everything goes by zero copy. */
static void begin(struct pair *pair)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);

	begin_with(&options, pair);
}

/* What is of use does; each large record is a transmission of its own. */
static void begin_auto(struct pair *pair)
{
	struct sluice_options options = options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_AUTO);

	options.gather_bytes = LARGE;
	begin_with(&options, pair);
}

static void run(void)
{
	run_for(&fixture, 0);
}

static void end(struct pair *pair)
{
	pair_close(pair);
	run();
	scripted_end(&fixture);
}

static struct sluice_engine_statistics statistics(void)
{
	struct sluice_engine_statistics now = {.size = sizeof now};

	cr_assert_eq(sluice_engine_statistics(fixture.engine, &now), 0);
	return now;
}

static uint32_t learned(struct sluice_socket *socket)
{
	struct sluice_socket_statistics now = {.size = sizeof now};

	cr_assert_eq(sluice_socket_statistics(socket, &now), 0);
	return now.zerocopy;
}

/* Sends by zero copy that have no result yet: there is one, and this is it. */
static uint32_t flying(void)
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

/* Starts a send of the pattern from `position` on, which goes by zero copy. */
static uint32_t fly(struct sluice_socket *socket, struct operation *operation, size_t position,
		    size_t length)
{
	operation_init(operation, &fixture);
	cr_assert_eq(start_send(socket, operation, pattern + position, length), 1);
	run();
	return flying();
}

/* The same, taken whole, its buffer in use. */
static uint32_t taken(struct sluice_socket *socket, struct operation *operation, size_t position,
		      size_t length)
{
	uint32_t index = fly(socket, operation, position, length);

	scripted_tell(index, (int32_t)length);
	run();
	cr_assert_not(is_over(operation), "a record ended while its buffer was in use");
	return index;
}

static void let_go(uint32_t index)
{
	scripted_free(index, false);
	run();
}

/* ---- b11 ---- */

Test(b11, b11_a_record_ends_when_its_buffer_is_free)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = taken(pair.socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_queued_bytes(pair.socket), 0);
	cr_assert_eq(statistics().zerocopy_pending, 1);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(statistics().zerocopy_pending, 0);
	cr_assert_eq(statistics().zerocopy_sends, 1);
	cr_assert_eq(scripted.attempt_count, 0);
	scripted_assert_stream(pair.socket, SIZE);
	end(&pair);
}

Test(b11, b11_a_result_without_a_notification_ends_the_record)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	scripted_answer(fly(pair.socket, &operation, 0, SIZE), SIZE);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	end(&pair);
}

Test(b11, b11_both_answers_may_come_in_one_turn)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = fly(pair.socket, &operation, 0, SIZE);
	scripted_tell(index, SIZE);
	scripted_free(index, true);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	end(&pair);
}

Test(b11, b11_the_next_transmission_waits_for_the_result_alone)
{
	struct operation operations[3];
	struct pair pair;
	uint32_t first, second;

	begin(&pair);
	first = taken(pair.socket, &operations[0], 0, SIZE);
	second = fly(pair.socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[2], pattern + 2 * SIZE, SIZE), 1);
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
	scripted_assert_stream(pair.socket, 3 * SIZE);
	end(&pair);
}

Test(b11, b11_handlers_run_in_order_however_the_buffers_come_free)
{
	static const int order[] = {3, 1, 4, 0, 2};
	struct operation operations[5];
	struct pair pair;
	uint32_t indexes[5];

	begin(&pair);
	for (size_t i = 0; i < 5; i++)
		indexes[i] = taken(pair.socket, &operations[i], i * SIZE, SIZE);
	for (size_t i = 0; i < 5; i++) {
		let_go(indexes[order[i]]);
		cr_assert_eq(fixture.handled, i < 3 ? 0 : i == 3 ? 2 : 5);
	}
	for (size_t i = 0; i < 5; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, SIZE);
		cr_assert_eq(operations[i].turn, i + 1);
	}
	end(&pair);
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
	end(&pair);
}

Test(b11, b11_short_counts_lose_nothing_and_the_record_waits_for_all_of_its_parts)
{
	struct operation operation;
	struct pair pair;
	uint32_t indexes[3];

	begin(&pair);
	indexes[0] = fly(pair.socket, &operation, 0, SIZE);
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
	scripted_assert_stream(pair.socket, SIZE);
	end(&pair);
}

Test(b11, b11_many_buffers_may_be_in_use_at_once)
{
	enum {
		MANY = 100
	};
	static struct operation operations[MANY];
	struct pair pair;
	uint32_t indexes[MANY];

	begin(&pair);
	for (size_t i = 0; i < MANY; i++)
		indexes[i] = taken(pair.socket, &operations[i], i * 100, 100);
	cr_assert_eq(statistics().zerocopy_pending, MANY);
	for (size_t i = MANY; i-- > 0;)
		scripted_free(indexes[i], i % 2);
	run();
	cr_assert(are_over(operations, MANY));
	cr_assert_eq(statistics().zerocopy_copied, MANY / 2);
	scripted_assert_stream(pair.socket, 100 * MANY);
	end(&pair);
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
	end(&pair);
}

/* ---- errors ---- */

Test(b11, b11_an_error_whose_buffer_is_in_use_ends_the_record_when_it_is_free)
{
	struct operation operations[3];
	struct pair pair;
	uint32_t first, second;

	begin(&pair);
	first = taken(pair.socket, &operations[0], 0, SIZE);
	second = fly(pair.socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[2], pattern, SIZE), 1);
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
	end(&pair);
}

Test(b11, b11_an_error_behind_a_short_count_keeps_the_bytes_and_waits_for_them)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = fly(pair.socket, &operation, 0, SIZE);
	scripted_tell(index, 123);
	run();
	run();
	scripted_answer(flying(), -ECONNRESET);
	run();
	cr_assert_not(is_over(&operation));
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_RESET, 123);
	end(&pair);
}

static void refuse(int error_number, bool with_notification)
{
	struct operation operations[2];
	struct pair pair;
	uint32_t index;

	begin(&pair);
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
	end(&pair);
}

Test(b11, b11_what_the_kernel_refuses_is_copied)
{
	static const int errors[] = {ENOMEM, ENOBUFS, EFAULT, EOPNOTSUPP, EINVAL, EPERM};

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		refuse(errors[i], false);
		refuse(errors[i], true);
	}
}

Test(b11, b11_a_socket_that_cannot_does_not_speak_for_others)
{
	struct operation operations[2];
	struct pair pair, other;

	begin(&pair);
	tcp_pair(&fixture, &other, 0);
	scripted_answer(fly(pair.socket, &operations[0], 0, SIZE), -EOPNOTSUPP);
	run();
	run();
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_IMPOSSIBLE);
	let_go(taken(other.socket, &operations[1], 0, SIZE));
	cr_assert(are_over(operations, 2));
	pair_close(&other);
	end(&pair);
}

Test(b11, b11_a_kernel_that_knows_none_of_it_is_not_asked_again)
{
	struct operation operations[2];
	struct pair pair, other;

	begin(&pair);
	tcp_pair(&fixture, &other, 0);
	scripted_answer(fly(pair.socket, &operations[0], 0, SIZE), -EINVAL);
	run();
	run();
	cr_assert_not(statistics().capabilities & SLUICE_CAPABILITY_ZEROCOPY);
	operation_init(&operations[1], &fixture);
	cr_assert_eq(start_send(other.socket, &operations[1], pattern, SIZE), 0);
	cr_assert(are_over(operations, 2));
	pair_close(&other);
	end(&pair);
}

Test(b11, b11_a_request_that_cannot_be_made_is_copied)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	operation_init(&operation, &fixture);
	scripted_start_answers(-EAGAIN);
	cr_assert_eq(start_send(pair.socket, &operation, pattern, SIZE), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(statistics().zerocopy_pending, 0);
	end(&pair);
}

Test(b11, b11_full_sockets_are_waited_for)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = fly(pair.socket, &operation, 0, SIZE);
	scripted_tell(index, -EAGAIN);
	run();
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	let_go(index);
	run();
	index = flying();
	scripted_tell(index, SIZE);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	end(&pair);
}

/* ---- e02, e05 ---- */

Test(e02, e02_a_record_that_waits_for_its_buffer_alone_is_not_aborted)
{
	struct operation operations[2];
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = taken(pair.socket, &operations[0], 0, SIZE);
	cr_assert_eq(sluice_cancel(pair.socket, &operations[0].args), 0);
	cr_assert_eq(sluice_socket_cancel_all(pair.socket), 0);
	run();
	cr_assert_not(is_over(&operations[0]));
	let_go(index);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	/* And the stream continues. */
	let_go(taken(pair.socket, &operations[1], SIZE, SIZE));
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, SIZE);
	end(&pair);
}

Test(e02, e02_in_flight_by_zero_copy_nothing_taken)
{
	struct operation operations[2];
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = fly(pair.socket, &operations[0], 0, SIZE);
	operation_init(&operations[1], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[1], pattern, SIZE), 1);
	cr_assert_eq(sluice_cancel(pair.socket, &operations[0].args), 0);
	cr_assert(scripted.requests[index].cancelled);
	scripted_tell(index, -ECANCELED);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
	run();
	scripted_free(index, false);
	index = flying();
	scripted_tell(index, SIZE);
	let_go(index);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, SIZE);
	scripted_assert_stream(pair.socket, SIZE);
	end(&pair);
}

Test(e02, e02_half_sent_by_zero_copy_ends_when_its_buffer_is_free)
{
	struct operation operations[3];
	struct pair pair;
	uint32_t first, second;

	begin(&pair);
	first = taken(pair.socket, &operations[0], 0, SIZE);
	second = fly(pair.socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[2], pattern + SIZE + 77, SIZE), 1);
	cr_assert_eq(sluice_cancel(pair.socket, &operations[1].args), 0);
	scripted_tell(second, 77);
	run();
	cr_assert_not(is_over(&operations[1]));
	scripted_free(second, false);
	let_go(first);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 77);
	run();
	first = flying();
	scripted_tell(first, SIZE);
	let_go(first);
	assert_ended(&operations[2], SLUICE_ERROR_SUCCESS, SIZE);
	scripted_assert_stream(pair.socket, 2 * SIZE + 77);
	end(&pair);
}

Test(e02, e02_queued_behind_what_is_held_ends_at_once)
{
	struct operation operations[3];
	struct pair pair;
	uint32_t first, second;

	begin(&pair);
	first = taken(pair.socket, &operations[0], 0, SIZE);
	second = fly(pair.socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[2], pattern, SIZE), 1);
	cr_assert_eq(sluice_cancel(pair.socket, &operations[2].args), 0);
	run();
	assert_ended(&operations[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
	scripted_tell(second, SIZE);
	run();
	scripted_free(first, false);
	let_go(second);
	cr_assert(are_over(operations, 3));
	end(&pair);
}

Test(e05, e05_a_record_that_waits_for_its_buffer_alone_is_not_overdue)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	operation_init(&operation, &fixture);
	operation.args.timeout_ns = MILLISECOND;
	cr_assert_eq(start_send(pair.socket, &operation, pattern, SIZE), 1);
	index = flying();
	scripted_tell(index, SIZE);
	for (int turn = 0; turn < 5; turn++)
		run_for(&fixture, MILLISECOND);
	cr_assert_not(is_over(&operation));
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	end(&pair);
}

/* ---- e03, e04, e09 ---- */

Test(e04, e04_shutdown_waits_only_for_what_is_half_sent)
{
	struct operation operations[3];
	struct pair pair;
	uint32_t first, second;

	begin(&pair);
	first = taken(pair.socket, &operations[0], 0, SIZE);
	second = fly(pair.socket, &operations[1], SIZE, SIZE);
	operation_init(&operations[2], &fixture);
	cr_assert_eq(start_send(pair.socket, &operations[2], pattern, SIZE), 1);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	scripted_tell(second, 5);
	run();
	run();
	if (!is_over(&operations[2])) {
		scripted_answer(flying(), -EPIPE);
		run();
	}
	assert_ended(&operations[2], SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_not(is_over(&operations[0]));
	cr_assert_not(is_over(&operations[1]));
	scripted_free(first, false);
	let_go(second);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_SHUTDOWN, 5);
	end(&pair);
}

static void assert_peer_meets(int fd, int error_number)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	if (error_number == 0)
		cr_assert_eq(got, 0, "the peer did not meet the end");
	else
		cr_assert(got < 0 && errno == error_number, "the peer did not meet the error");
}

Test(e03, e03_a_record_taken_whole_is_not_aborted_by_close)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = taken(pair.socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	run();
	cr_assert_not(is_over(&operation));
	cr_assert_eq(scripted.forgets, 0);
	assert_peer_meets(pair.peer, 0);
	cr_assert_eq(sluice_socket_fd(pair.socket), -EBADF);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(scripted.forgets, 1);
	end(&pair);
}

static void linger_until_reset(int64_t linger_ns, bool destroy_socket)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operation;
	struct pair pair;
	uint32_t index;
	char byte;

	options.zerocopy_linger_ns = linger_ns;
	begin_with(&options, &pair);
	index = taken(pair.socket, &operation, 0, SIZE);
	if (destroy_socket)
		sluice_socket_destroy(pair.socket);
	else
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
	for (int64_t began = now_ns(); now_ns() - began < linger_ns + 5 * MILLISECOND;)
		run_for(&fixture, MILLISECOND);
	cr_assert_not(is_over(&operation), "the reset alone does not free the buffer");
	/* The end came first, where there was time for it; then the reset. */
	if (recv(pair.peer, &byte, 1, 0) == 0)
		cr_assert(send(pair.peer, "x", 1, MSG_NOSIGNAL) < 0 ||
			  recv(pair.peer, &byte, 1, 0) <= 0);
	else
		cr_assert_eq(errno, ECONNRESET);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(scripted.forgets, 1);
	if (destroy_socket)
		close(pair.peer);
	else
		pair_close(&pair);
	run();
	scripted_end(&fixture);
}

Test(e03, e03_a_buffer_that_does_not_come_free_resets_the_connection)
{
	linger_until_reset(0, false);
	linger_until_reset(20 * MILLISECOND, false);
	linger_until_reset(20 * MILLISECOND, true);
}

Test(e03, e03_close_with_sends_queued_resets_at_once_and_ends_them_in_order)
{
	struct operation operations[4];
	struct pair pair;
	uint32_t first, second;

	begin(&pair);
	first = taken(pair.socket, &operations[0], 0, SIZE);
	second = fly(pair.socket, &operations[1], SIZE, SIZE);
	for (int i = 2; i < 4; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], pattern, SIZE), 1);
	}
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	cr_assert(scripted.requests[second].cancelled);
	scripted_tell(second, 9);
	run();
	assert_peer_meets(pair.peer, ECONNRESET);
	scripted_free(second, false);
	let_go(first);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 9);
	for (uint64_t i = 0; i < 4; i++) {
		cr_assert_eq(operations[i].turn, i + 1);
		if (i > 1)
			assert_ended(&operations[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	}
	end(&pair);
}

Test(e03, e03_close_gracefully_waits_for_the_buffers_of_the_last_byte)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = fly(pair.socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close_gracefully(pair.socket, SECOND), 0);
	scripted_tell(index, SIZE);
	run();
	run();
	cr_assert_not(is_over(&operation));
	assert_peer_meets(pair.peer, 0);
	let_go(index);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	cr_assert_eq(scripted.forgets, 1);
	end(&pair);
}

Test(e03, e03_what_is_received_meanwhile_does_not_disturb_the_end)
{
	struct operation send_operation, receive_operation;
	char byte;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	operation_init(&receive_operation, &fixture);
	cr_assert_eq(start_receive(pair.socket, &receive_operation, &byte, 1), 1);
	index = taken(pair.socket, &send_operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_RECEIVE), -ECANCELED);
	run();
	assert_ended(&receive_operation, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_not(is_over(&send_operation));
	let_go(index);
	assert_ended(&send_operation, SLUICE_ERROR_SUCCESS, SIZE);
	end(&pair);
}

Test(e03, e03_detach_refuses_while_a_buffer_is_in_use)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = taken(pair.socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_detach(pair.socket), -EBUSY);
	let_go(index);
	end(&pair);
}

Test(e01, e01_a_disconnect_behind_what_is_held_takes_its_turn)
{
	struct operation operations[2];
	struct pair pair;
	uint32_t index;

	begin(&pair);
	index = taken(pair.socket, &operations[0], 0, SIZE);
	operation_init(&operations[1], &fixture);
	operations[1].args.flags = 0;
	cr_assert_geq(start(sluice_disconnect_async, pair.socket, &operations[1]), 0);
	run();
	assert_peer_meets(pair.peer, 0);
	let_go(index);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 0);
	end(&pair);
}

/* The test's handlers run in destroy. */
static void destroy(struct pair *pair)
{
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	fixture.engine = NULL;
	close(pair->peer);
	fixture_end(&fixture);
}

Test(e09, e09_destroy_does_not_wait_for_ever_for_a_notification)
{
	struct operation operations[2];
	struct pair pair;
	int64_t began;

	begin(&pair);
	scripted.loses_notifications = true;
	taken(pair.socket, &operations[0], 0, SIZE);
	taken(pair.socket, &operations[1], SIZE, SIZE);
	scripted.cancel_answer = -ECANCELED;
	began = now_ns();
	destroy(&pair);
	cr_assert_lt(now_ns() - began, 5 * SECOND);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, SIZE);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, SIZE);
	free(scripted.requests[0].segments);
	free(scripted.requests[1].segments);
}

Test(e09, e09_destroy_after_close_waits_no_longer_either)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	scripted.loses_notifications = true;
	taken(pair.socket, &operation, 0, SIZE);
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	run();
	cr_assert_not(is_over(&operation));
	destroy(&pair);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, SIZE);
	free(scripted.requests[0].segments);
}

static void free_when_cut(struct operation *operation)
{
	(void)operation;
	scripted_free(0, false);
}

Test(e09, e09_a_notification_that_comes_during_destroy_ends_its_record)
{
	struct operation held, receiving;
	struct pair pair;
	char byte;

	begin(&pair);
	taken(pair.socket, &held, 0, SIZE);
	operation_init(&receiving, &fixture);
	receiving.then = free_when_cut;
	cr_assert_eq(start_receive(pair.socket, &receiving, &byte, 1), 1);
	scripted.cancel_answer = -ECANCELED;
	destroy(&pair);
	assert_ended(&receiving, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&held, SLUICE_ERROR_SUCCESS, SIZE);
}

/* ---- the policy ---- */

/*
 * Sends one large record with a small one queued behind it; whether the large one went by zero copy.
 * What the kernel says is the caller's word.
 */
static bool send_large(struct pair *pair, bool copied)
{
	size_t position = scripted.streams[sluice_socket_fd(pair->socket)].length % 251;
	uint32_t before = scripted.request_count, index;
	struct operation operation, behind;
	bool went;

	operation_init(&operation, &fixture);
	operation_init(&behind, &fixture);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	cr_assert_eq(start_send(pair->socket, &operation, pattern + position, LARGE), 1);
	cr_assert_eq(start_send(pair->socket, &behind, pattern + position + LARGE, 10), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run();
	went = scripted.request_count > before;
	if (went) {
		index = flying();
		scripted_tell(index, LARGE);
		run();
		scripted_free(index, copied);
		run();
	}
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, LARGE);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 10);
	return went;
}

Test(zerocopy, on_a_kernel_that_copies_four_sends_find_out)
{
	struct pair pair;
	int went = 0;

	begin_auto(&pair);
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_NOTHING);
	for (int i = 0; i < 100; i++)
		went += send_large(&pair, true);
	cr_assert_eq(went, 4);
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_USELESS);
	cr_assert_eq(statistics().zerocopy_sends, 4);
	cr_assert_eq(statistics().zerocopy_copied, 4);
	cr_assert_eq(statistics().zerocopy_rests, 1);
	cr_assert_eq(statistics().zerocopy_pending, 0);
	cr_assert_eq(scripted.asked_local, 1);
	end(&pair);
}

/* A sender that waits for each record would lose a round trip on each. */
Test(zerocopy, a_send_alone_does_not_wait_for_the_peer)
{
	struct operation operation;
	struct pair pair;

	begin_auto(&pair);
	operation_init(&operation, &fixture);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(start_send(pair.socket, &operation, pattern, LARGE), 0);
	operation.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair.socket, &operation, pattern, LARGE), 1);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, LARGE);
	cr_assert_eq(scripted.request_count, 0);
	cr_assert_eq(scripted.asked_local, 0);
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_NOTHING);
	end(&pair);
}

Test(zerocopy, a_sender_that_waits_for_each_queue_is_served_by_copying)
{
	struct pair pair;
	int went = 0;

	begin_auto(&pair);
	for (int i = 0; i < 100; i++)
		went += send_large(&pair, false);
	cr_assert_eq(went, 4);
	cr_assert_eq(statistics().zerocopy_copied, 0);
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_USELESS);
	end(&pair);
}

Test(zerocopy, nothing_goes_to_this_machine)
{
	struct pair pair;

	begin_auto(&pair);
	scripted.is_local = true;
	for (int i = 0; i < 100; i++)
		cr_assert_not(send_large(&pair, true));
	cr_assert_eq(scripted.asked_local, 1, "it is asked once for each connection");
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_USELESS);
	end(&pair);
}

Test(zerocopy, connections_that_send_once_teach_those_behind_them)
{
	struct pair pair, next;
	int went = 0;

	begin_auto(&pair);
	for (int i = 0; i < 50; i++) {
		tcp_pair(&fixture, &next, 0);
		went += send_large(&next, true);
		pair_close(&next);
		run();
	}
	cr_assert_eq(went, SLUICE__ZEROCOPY_PRIOR_STREAK + 1);
	end(&pair);
}

Test(zerocopy, a_sender_that_keeps_the_queue_filled_stays_with_it)
{
	enum {
		SENDS = 12
	};
	static struct operation operations[SENDS + 1];
	struct pair pair;

	begin_auto(&pair);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < SENDS + 1; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], pattern, LARGE), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	for (int i = 0; i < SENDS; i++) {
		uint32_t index;

		run();
		index = flying();
		cr_assert_eq(scripted.requests[index].bytes, LARGE, "send %d", i);
		scripted_tell(index, LARGE);
		scripted_free(index, false);
		run();
	}
	cr_assert_eq(learned(pair.socket), SLUICE_ZEROCOPY_LEARNED_USEFUL);
	run();
	scripted_answer(flying(), LARGE);
	run();
	cr_assert(are_over(operations, SENDS + 1));
	end(&pair);
}

/* Zero copy proves useful on the socket, and remains in use. */
static void train(struct pair *pair)
{
	struct operation operations[2];
	uint32_t index;

	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < 2; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair->socket, &operations[i], pattern, LARGE), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	index = flying();
	scripted_tell(index, LARGE);
	scripted_free(index, false);
	run();
	run();
	scripted_answer(flying(), LARGE);
	run();
	cr_assert(are_over(operations, 2));
	cr_assert_eq(learned(pair->socket), SLUICE_ZEROCOPY_LEARNED_USEFUL);
}

static bool goes(struct pair *pair, struct operation *operation, size_t length)
{
	uint32_t before = scripted.request_count;
	int answer = start_send(pair->socket, operation, pattern, length);

	if (answer == 0) {
		cr_assert_eq(scripted.request_count, before);
		return false;
	}
	run();
	if (scripted.request_count == before ||
	    scripted.requests[before].kind != SLUICE__REQUEST_SEND_ZEROCOPY)
		return false;
	scripted_answer(before, (int32_t)length);
	run();
	return true;
}

Test(zerocopy, by_itself_it_takes_only_what_can_be_given_back)
{
	struct operation operation;
	struct pair pair;
	int small = SMALL;

	begin_auto(&pair);
	train(&pair);
	operation_init(&operation, &fixture);
	cr_assert(goes(&pair, &operation, 32768));
	cr_assert_not(goes(&pair, &operation, 32767));
	operation.args.timeout_ns = SECOND;
	cr_assert_not(goes(&pair, &operation, LARGE), "a record with a deadline");
	operation.args.timeout_ns = 0;
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	cr_assert_not(goes(&pair, &operation, LARGE), "an urgent byte");
	operation.args.flags = 0;
	scripted.window = LARGE - 1;
	cr_assert_not(goes(&pair, &operation, LARGE), "more than the peer's window takes");
	scripted.window = LARGE;
	cr_assert(goes(&pair, &operation, LARGE));
	cr_assert_eq(setsockopt(sluice_socket_fd(pair.socket), SOL_SOCKET, SO_SNDBUF, &small,
				sizeof small),
		     0);
	cr_assert_not(goes(&pair, &operation, LARGE), "more than the socket has room for");
	cr_assert(is_over(&operation));
	end(&pair);
}

Test(zerocopy, switched_off_or_masked_nothing_goes_that_way)
{
	for (int way = 0; way < 2; way++) {
		struct sluice_options options =
			options_of(SLUICE_TRANSMIT_WAY_AUTO,
				   way ? SLUICE_ZEROCOPY_ALWAYS : SLUICE_ZEROCOPY_OFF);
		struct operation operation;
		struct pair pair;

		if (way)
			options.disable = SLUICE_CAPABILITY_ZEROCOPY;
		begin_with(&options, &pair);
		operation_init(&operation, &fixture);
		cr_assert_not(goes(&pair, &operation, LARGE));
		end(&pair);
	}
}

Test(zerocopy, always_takes_parts_deadlines_and_what_the_kernel_copies)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_AUTO, SLUICE_ZEROCOPY_ALWAYS);
	struct operation operation;
	struct pair pair;

	options.gather_bytes = LARGE;
	begin_with(&options, &pair);
	for (int i = 0; i < 50; i++)
		cr_assert(send_large(&pair, true));
	operation_init(&operation, &fixture);
	operation.args.timeout_ns = SECOND;
	cr_assert(goes(&pair, &operation, LARGE));
	cr_assert_not(goes(&pair, &operation, 32767));
	end(&pair);
}

Test(zerocopy, unix_sockets_are_not_asked)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operation;
	struct pair pair;

	pattern_fill(pattern, sizeof pattern, 0);
	scripted_begin_with(&fixture, true, &options);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	operation_init(&operation, &fixture);
	cr_assert_not(goes(&pair, &operation, LARGE));
	end(&pair);
}

/* ---- what the kernel says of the peer ---- */

static bool is_local(int fd, int family)
{
	struct sluice_socket socket = {.fd = fd, .family = (uint8_t)family};

	return sluice__syscall_is_local(&socket);
}

Test(zerocopy, a_peer_on_this_machine_is_known_by_its_address)
{
	struct sockaddr_in address = loopback(0), away = loopback(9);
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	int listener = listen_tcp(0), client = new_tcp(0), six, datagram, both[2];

	address = loopback(port_of(listener));
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert(is_local(client, AF_INET));
	close(client);
	mapped.sin6_port = address.sin_port;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	six = socket(AF_INET6, SOCK_STREAM, 0);
	if (six >= 0 && connect(six, (struct sockaddr *)&mapped, sizeof mapped) == 0)
		cr_assert(is_local(six, AF_INET6));
	close(six);
	close(listener);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, both), 0);
	cr_assert(is_local(both[0], AF_UNIX));
	close(both[0]);
	close(both[1]);
	/* An address for documentation: nothing is sent, but a route is needed. */
	inet_pton(AF_INET, "192.0.2.1", &away.sin_addr);
	datagram = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(datagram, (struct sockaddr *)&away, sizeof away) == 0)
		cr_assert_not(is_local(datagram, AF_INET));
	close(datagram);
}

/* ---- addresses of a network namespace of its own ---- */

static void set_interface(unsigned long request, struct ifreq *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(ioctl(fd, request, interface), 0, "%s", strerror(errno));
	close(fd);
}

static void add_address(const char *name, const char *address)
{
	struct ifreq interface = {.ifr_name = ""};
	struct sockaddr_in value = {.sin_family = AF_INET};

	strcpy(interface.ifr_name, name);
	inet_pton(AF_INET, address, &value.sin_addr);
	memcpy(&interface.ifr_addr, &value, sizeof value);
	set_interface(SIOCSIFADDR, &interface);
}

/* Two addresses that are not loopback's. */
static void enter_network(void)
{
	struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		cr_skip("no network namespace of its own: %s", strerror(errno));
	set_interface(SIOCSIFFLAGS, &interface);
	add_address("lo:1", "198.51.100.1");
	add_address("lo:2", "198.51.100.2");
}

/* A connection to this address, from that one if it is given. */
static bool is_known_as_local(const char *peer, const char *own)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, from = {.sin_family = AF_INET};
	socklen_t length = sizeof to;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	bool known;

	inet_pton(AF_INET, peer, &to.sin_addr);
	cr_assert_eq(bind(listener, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&to, &length), 0);
	if (own) {
		inet_pton(AF_INET, own, &from.sin_addr);
		cr_assert_eq(bind(client, (struct sockaddr *)&from, sizeof from), 0);
	}
	cr_assert_eq(connect(client, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
	known = is_local(client, AF_INET);
	close(client);
	close(listener);
	return known;
}

Test(zerocopy, a_peer_on_this_machine_is_known_by_an_address_that_is_not_loopback_s)
{
	enter_network();
	cr_assert(is_known_as_local("198.51.100.1", NULL));
	cr_assert(is_known_as_local("198.51.100.2", "198.51.100.1"), "the source was bound");
}

Test(zerocopy, a_peer_on_this_machine_is_known_by_its_address_of_ipv6)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET6, SOCK_STREAM, 0), client = socket(AF_INET6, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
		cr_skip("no IPv6: %s", strerror(errno));
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert(is_local(client, AF_INET6));
	close(client);
	close(listener);
}

/* The peer's kernel acknowledges so much without a reader; and it is less than one buffer. */
Test(zerocopy, the_window_is_what_the_peer_takes_without_reading)
{
	struct sluice_socket socket = {.family = AF_INET};
	struct sockaddr_in address;
	int listener = listen_tcp(4096), peer, pending = 1;
	int64_t deadline = now_ns() + GUARD_NS;
	uint64_t window;

	address = loopback(port_of(listener));
	socket.fd = new_tcp(1 << 20);
	cr_assert_eq(connect(socket.fd, (struct sockaddr *)&address, sizeof address), 0);
	peer = accept(listener, NULL, NULL);
	window = sluice__syscall_window(&socket);
	if (window == 0)
		cr_skip("the kernel does not say the peer's window");
	cr_assert_lt(window, 65536);
	pattern_fill(pattern, sizeof pattern, 0);
	cr_assert_eq(send(socket.fd, pattern, window, MSG_DONTWAIT), (ssize_t)window);
	while (pending) {
		cr_assert_eq(ioctl(socket.fd, SIOCOUTQ, &pending), 0);
		cr_assert(now_ns() < deadline, "%d of %zu bytes wait for the reader", pending,
			  (size_t)window);
		usleep(1000);
	}
	cr_assert_lt(sluice__syscall_window(&socket), window);
	close(socket.fd);
	close(peer);
	close(listener);
}

/* ---- registered memory ---- */

static uint64_t region_of_last(void)
{
	return scripted.requests[scripted.request_count - 1].region;
}

static void send_list(struct pair *pair, struct operation *operation, struct iovec one,
		      struct iovec other)
{
	struct iovec list[] = {one, other};

	operation_init(operation, &fixture);
	cr_assert_eq(sluice_args_set_buffer_list(&operation->args, list, 2), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, operation), 1);
	run();
}

Test(memory, what_lies_wholly_in_one_registered_memory_is_sent_from_there)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern + 1000, 5000), 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern + 20000, 5000), 0);
	operation_init(&operation, &fixture);
	cr_assert(goes(&pair, &operation, 10));
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(fly(pair.socket, &operation, 1000, 5000), 5000);
	cr_assert_eq(region_of_last(), 1);
	run();
	scripted_answer(fly(pair.socket, &operation, 20001, 4999), 4999);
	cr_assert_eq(region_of_last(), 2);
	run();
	scripted_answer(fly(pair.socket, &operation, 20001, 5000), 5000);
	cr_assert_eq(region_of_last(), 0);
	run();
	scripted_answer(fly(pair.socket, &operation, 999, 10), 10);
	cr_assert_eq(region_of_last(), 0);
	run();
	cr_assert_eq(statistics().zerocopy_registered, 2);
	end(&pair);
}

Test(memory, lists_lie_in_one_memory_or_in_none)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, 5000), 0);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern + 5000, 5000), 0);
	send_list(&pair, &operation, segment(pattern + 5000, 10), segment(pattern + 9000, 1000));
	cr_assert_eq(region_of_last(), 2);
	scripted_answer(flying(), 1010);
	run();
	send_list(&pair, &operation, segment(pattern, 10), segment(pattern + 9000, 10));
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(flying(), 20);
	run();
	end(&pair);
}

Test(memory, where_lists_cannot_be_sent_from_it_they_go_without)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, 5000), 0);
	let_go(taken(pair.socket, &operation, 0, 100));
	send_list(&pair, &operation, segment(pattern, 10), segment(pattern + 10, 10));
	cr_assert_eq(region_of_last(), 1);
	scripted_answer(flying(), -EINVAL);
	run();
	run();
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(flying(), 20);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 20);
	cr_assert_not(statistics().capabilities & SLUICE_CAPABILITY_REGISTERED_LISTS);
	cr_assert(statistics().capabilities & SLUICE_CAPABILITY_ZEROCOPY);
	send_list(&pair, &operation, segment(pattern, 10), segment(pattern + 10, 10));
	cr_assert_eq(region_of_last(), 0);
	scripted_answer(flying(), 20);
	run();
	end(&pair);
}

Test(memory, registered_memory_is_worth_it_sooner)
{
	struct operation operation;
	struct pair pair;

	begin_auto(&pair);
	train(&pair);
	operation_init(&operation, &fixture);
	cr_assert_not(goes(&pair, &operation, 8192));
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, sizeof pattern), 0);
	cr_assert(goes(&pair, &operation, 8192));
	cr_assert_eq(start_send(pair.socket, &operation, pattern, 8192), 1);
	cr_assert_not(scripted.requests[scripted.request_count - 1].handed_over);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, pattern), 0);
	cr_assert(scripted.requests[scripted.request_count - 1].handed_over,
		  "a request names memory that is gone");
	cr_assert_null(scripted.regions[0].iov_base);
	scripted_answer(flying(), 8192);
	run();
	cr_assert_not(goes(&pair, &operation, 8192));
	end(&pair);
}

Test(memory, what_the_kernel_does_not_pin_is_not_registered)
{
	struct operation operation;
	struct pair pair;

	begin(&pair);
	scripted.register_answer = -ENOMEM;
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, SIZE), -ENOMEM);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, pattern), -ENOENT);
	operation_init(&operation, &fixture);
	cr_assert(goes(&pair, &operation, SIZE));
	cr_assert_eq(region_of_last(), 0);
	end(&pair);
}

Test(memory, masked_it_is_accepted_and_not_used)
{
	struct sluice_options options =
		options_of(SLUICE_TRANSMIT_WAY_ZEROCOPY, SLUICE_ZEROCOPY_AUTO);
	struct operation operation;
	struct pair pair;

	options.disable = SLUICE_CAPABILITY_REGISTERED_MEMORY;
	begin_with(&options, &pair);
	cr_assert_eq(sluice_engine_register_memory(fixture.engine, pattern, SIZE), 0);
	cr_assert_null(scripted.regions[0].iov_base);
	operation_init(&operation, &fixture);
	cr_assert(goes(&pair, &operation, SIZE));
	cr_assert_eq(region_of_last(), 0);
	cr_assert_eq(sluice_engine_unregister_memory(fixture.engine, pattern), 0);
	end(&pair);
}
