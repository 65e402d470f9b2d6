/* SPDX-License-Identifier: MIT */
/*
 * The engine over a backend that answers as it is told: what it asks for, and what comes of each
 * answer. That every accepted operation ends exactly once, and no handler runs inside a starting
 * call, is asserted by start(), by the handler and by fixture_end for each of them.
 */
#include "engine_scripted.h"

#include <errno.h>

void begin_stream(struct pair *pair, bool sends)
{
	begin_over(sends, NULL);
	unix_pair(&fixture, pair, SOCK_STREAM);
}

void answer_all(void)
{
	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (!noted->answered && noted->handed_over)
			scripted_answer(i, (int32_t)noted->bytes);
	}
}

void batch_sends(struct sluice_socket *socket, struct operation *operations, int count, size_t each,
		 size_t position)
{
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < count; i++, position += each) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(socket, &operations[i], pattern + position, each), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
}

uint32_t fly(struct sluice_socket *socket, struct operation *operations, int count, size_t each)
{
	uint32_t index;

	scripted_attempt_answers(-EAGAIN);
	batch_sends(socket, operations, count, each, 0);
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, (uint64_t)count * each);
	return index;
}

/* ---- gathering ---- */

/* As batch_sends, with the bytes of each apart in memory. */
#define APART 304
static unsigned char apart[2049][APART];

static void batch_apart(struct sluice_socket *socket, struct operation *operations, int count,
			size_t each)
{
	cr_assert(each < APART && count <= 2049);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < count; i++) {
		pattern_fill(apart[i], each, (size_t)i * each);
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(socket, &operations[i], apart[i], each), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
}

SCRIPTED_TEST(engine, a_batch_of_1000_records_leaves_in_one_attempt, begin_stream, true)
{
	static struct operation operations[1000];

	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < 1000; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair->socket, &operations[i], pattern + 7 * i, 7), 1);
	}
	cr_assert_eq(scripted.attempt_count, 0, "a send left before its batch had ended");
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	cr_assert_eq(scripted.attempt_count, 1);
	cr_assert_eq(scripted.attempts[0].segments, 1, "neighbours in memory are one");
	cr_assert_eq(scripted.attempts[0].bytes, 7000);
	cr_assert_eq(fixture.handled, 0, "a handler ran inside of batch_end");
	run();
	for (int i = 0; i < 1000; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 7);
		cr_assert_eq(operations[i].turn, (uint64_t)i + 1);
	}
	scripted_assert_stream(pair->socket, 7000);
}

SCRIPTED_TEST(engine, more_than_1024_segments_take_more_than_one_attempt, begin_stream, true)
{
	static struct operation operations[2049];

	batch_apart(pair->socket, operations, 2049, 300);
	run();
	cr_assert_eq(scripted.attempt_count, 3);
	cr_assert_eq(scripted.attempts[0].segments, 1024);
	cr_assert_eq(scripted.attempts[1].segments, 1024);
	cr_assert_eq(scripted.attempts[2].segments, 1);
	cr_assert(are_over(operations, 2049));
	scripted_assert_stream(pair->socket, 300 * 2049);
}

/* ---- copies of small records ---- */

SCRIPTED_TEST(engine, small_records_leave_as_one_segment, begin_stream, true)
{
	static struct operation operations[2000];

	batch_apart(pair->socket, operations, 1000, 7);
	cr_assert_eq(scripted.attempt_count, 1);
	cr_assert_eq(scripted.attempts[0].segments, 1);
	run();
	cr_assert(are_over(operations, 1000));
	scripted_assert_stream(pair->socket, 7000);
}

/* 1,024 copies of 256 bytes fit, and the first record before them. */
SCRIPTED_TEST(engine, more_small_records_than_can_be_copied_take_more_than_one_attempt,
	      begin_stream, true)
{
	static struct operation operations[2000];

	batch_apart(pair->socket, operations, 2000, 250);
	run();
	cr_assert_eq(scripted.attempt_count, 2);
	cr_assert_eq(scripted.attempts[0].segments, 1);
	cr_assert_eq(scripted.attempts[1].segments, 1);
	cr_assert(are_over(operations, 2000));
	scripted_assert_stream(pair->socket, 250 * 2000);
}

/* The engine has one place for copies, which another queue's may be in. */
Test(engine, a_queue_that_is_offered_meanwhile_leaves_the_copies_of_another_alone)
{
	struct operation first[3], second[3];
	struct pair pairs[2];

	begin_stream(&pairs[0], true);
	unix_pair(&fixture, &pairs[1], SOCK_STREAM);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	batch_apart(pairs[0].socket, first, 3, 20);
	for (int i = 0; i < 3; i++) {
		operation_init(&second[i], &fixture);
		cr_assert_eq(start_send(pairs[1].socket, &second[i], apart[i], 20), 1);
	}
	sluice__transmit_now(pairs[1].socket);
	cr_assert_eq(scripted.attempts[0].segments, 3);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	cr_assert_eq(scripted.attempts[1].segments, 1);
	run();
	cr_assert(are_over(first, 3) && are_over(second, 3));
	scripted_assert_stream(pairs[0].socket, 60);
	scripted_assert_stream(pairs[1].socket, 60);
	pair_close(&pairs[1]);
	end_over(&pairs[0]);
}

static void assert_in_records(const struct scripted_request *request, uint32_t first, size_t offset)
{
	for (uint32_t i = 0; i < request->segment_count; i++, offset = 0)
		cr_assert_eq(request->segments[i].iov_base, apart[first + i] + offset);
}

/* What an attempt did not take is sent from where the callers have it. */
Test(engine, a_short_count_of_copied_records_goes_on_in_their_own_memory)
{
	static const struct {
		int64_t answer;
		uint32_t whole;
		size_t offset;
	} rows[] = {{-EAGAIN, 0, 0}, {4, 0, 4}, {10, 1, 0}, {25, 2, 5}, {49, 4, 9}};

	for (size_t row = 0; row < COUNT(rows); row++) {
		struct operation operations[5];
		struct pair pair;
		uint32_t index;

		begin_stream(&pair, true);
		scripted_attempt_answers(rows[row].answer);
		batch_apart(pair.socket, operations, 5, 10);
		cr_assert_eq(scripted.attempts[0].segments, 1);
		run();
		cr_assert_eq(fixture.handled, rows[row].whole);
		index = scripted_only(SLUICE__REQUEST_SEND);
		cr_assert_eq(scripted.requests[index].segment_count, 5 - rows[row].whole);
		assert_in_records(&scripted.requests[index], rows[row].whole, rows[row].offset);
		answer_all();
		run();
		cr_assert(are_over(operations, 5));
		scripted_assert_stream(pair.socket, 50);
		end_over(&pair);
	}
}

SCRIPTED_TEST(engine, without_a_ring_a_short_count_of_copied_records_goes_on_as_well, begin_stream,
	      false)
{
	struct operation operations[5];

	scripted_attempt_answers(25);
	batch_apart(pair->socket, operations, 5, 10);
	run();
	cr_assert_eq(fixture.handled, 2);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	cr_assert(are_over(operations, 5));
	scripted_assert_stream(pair->socket, 50);
}

/* The ring may read them until it answers: they are not copied to where the next copies go. */
Test(engine, what_the_ring_sends_is_not_copied)
{
	struct operation operations[5];
	struct sluice_options options;
	struct pair pair;

	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	begin_over(true, &options);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	batch_apart(pair.socket, operations, 5, 10);
	assert_in_records(&scripted.requests[scripted_only(SLUICE__REQUEST_SEND)], 0, 0);
	answer_all();
	run();
	cr_assert(are_over(operations, 5));
	scripted_assert_stream(pair.socket, 50);
	end_over(&pair);
}

/* ---- the budget, and the arena ---- */

Test(engine, no_transmission_is_larger_than_the_budget)
{
	struct operation operations[3];
	struct sluice_options options;
	struct pair pair;

	sluice_options_init(&options, sizeof options);
	options.gather_bytes = 4096;
	begin_over(true, &options);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	batch_sends(pair.socket, operations, 3, 3000, 0);
	run();
	cr_assert_eq(scripted.attempt_count, 3);
	cr_assert_eq(scripted.attempts[0].bytes, 4096);
	cr_assert_eq(scripted.attempts[1].bytes, 4096);
	cr_assert_eq(scripted.attempts[2].bytes, 9000 - 2 * 4096);
	cr_assert(are_over(operations, 3));
	scripted_assert_stream(pair.socket, 9000);
	end_over(&pair);
}

/* The arena holds 4,096 segments, and a request's must live until it is handed over. */
Test(engine, the_segments_of_a_request_live_until_it_is_handed_over)
{
	enum {
		SOCKETS = 10,
		EACH = 1000
	};
	static struct operation operations[SOCKETS][EACH];
	struct sluice_options options;
	struct pair pairs[SOCKETS];

	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	begin_over(true, &options);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int s = 0; s < SOCKETS; s++) {
		unix_pair(&fixture, &pairs[s], SOCK_STREAM);
		batch_sends(pairs[s].socket, operations[s], EACH, 5, 0);
	}
	cr_assert_eq(scripted.request_count, 0);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	cr_assert_eq(scripted_open(SLUICE__REQUEST_SEND), SOCKETS);
	for (uint32_t s = 0; s < SOCKETS; s++)
		scripted_answer(s, (int32_t)scripted.requests[s].bytes);
	for (int turn = 0; turn < 4 && fixture.pending; turn++) {
		run();
		for (uint32_t i = SOCKETS; i < scripted.request_count; i++) {
			if (!scripted.requests[i].answered)
				scripted_answer(i, (int32_t)scripted.requests[i].bytes);
		}
	}
	run();
	for (int s = 0; s < SOCKETS; s++) {
		cr_assert(are_over(operations[s], EACH));
		scripted_assert_stream(pairs[s].socket, 5 * EACH);
		pair_close(&pairs[s]);
	}
	scripted_end(&fixture);
}

static void again(struct operation *operation)
{
	const struct pair *pair = operation->token;

	cr_assert(fixture.engine->delivering);
	operation->then = NULL;
	cr_assert_eq(start_send(pair->socket, operation,
				(const unsigned char *)operation->args.run.base + 30, 10),
		     1);
}

SCRIPTED_TEST(engine, what_a_handler_starts_leaves_in_the_next_turn_together, begin_stream, true)
{
	struct operation operations[3];

	batch_sends(pair->socket, operations, 3, 10, 0);
	cr_assert_eq(scripted.attempt_count, 1);
	for (int i = 0; i < 3; i++) {
		operations[i].token = pair;
		operations[i].then = again;
	}
	run();
	cr_assert_eq(fixture.handled, 3);
	cr_assert_eq(scripted.attempt_count, 1, "a handler's send was tried inside of it");
	run();
	cr_assert_eq(scripted.attempt_count, 2);
	cr_assert_eq(scripted.attempts[1].bytes, 30);
	cr_assert_eq(fixture.handled, 6);
	scripted_assert_stream(pair->socket, 60);
}

/* The second turn has nothing to hand over, the last one waits. */
SCRIPTED_TEST(engine, a_turn_enters_the_backend_if_there_is_something_for_it, begin_stream, true)
{
	struct operation operation;
	uint32_t enters;

	operation_init(&operation, &fixture);
	scripted_attempt_answers(30);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 100), 1);
	enters = scripted.enters;
	run();
	cr_assert_eq(scripted.enters, enters + 1);
	run();
	cr_assert_eq(scripted.enters, enters + 1, "entered for nothing");
	scripted_answer(scripted_only(SLUICE__REQUEST_SEND), 70);
	run();
	cr_assert_eq(scripted.enters, enters + 2);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	run();
	cr_assert_eq(scripted.enters, enters + 2, "entered for nothing");
	run_for(&fixture, MILLISECOND);
	cr_assert_gt(scripted.enters, enters + 2);
}

SCRIPTED_TEST(engine, the_flags_of_a_record_go_with_its_bytes_on_either_way, begin_stream, true)
{
	struct operation operation;

	operation_init(&operation, &fixture);
	operation.args.flags = SLUICE_FLAG_MORE;
	scripted_attempt_answers(4);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 10), 1);
	run();
	cr_assert_eq(scripted.attempts[0].flags, MSG_MORE);
	cr_assert_eq(scripted.requests[scripted_only(SLUICE__REQUEST_SEND)].flags, MSG_MORE);
	answer_all();
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 10);
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	cr_assert_eq(start_send(pair->socket, &operation, pattern + 10, 10), 0);
	cr_assert_eq(scripted.attempt_count, 3);
	cr_assert_eq(scripted.attempts[1].bytes, 9);
	cr_assert_eq(scripted.attempts[1].flags, 0);
	cr_assert_eq(scripted.attempts[2].bytes, 1);
	cr_assert_eq(scripted.attempts[2].flags, MSG_OOB);
	scripted_assert_stream(pair->socket, 20);
}
