/* SPDX-License-Identifier: MIT */
/*
 * The engine over a backend that answers as it is told: what it asks for, and what comes of each
 * answer. That every accepted operation ends exactly once, and no handler runs inside a starting
 * call, is asserted by start(), by the handler and by fixture_end for each of them.
 */
#include "scripted.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATTERN 65536

static struct fixture fixture;
static unsigned char pattern[PATTERN];

/* A socket whose next send will have to wait: an attempt is answered with less than it was given. */
static void begin(bool sends, struct pair *pair)
{
	pattern_fill(pattern, sizeof pattern, 0);
	scripted_begin(&fixture, sends);
	unix_pair(&fixture, pair, SOCK_STREAM);
}

static void end(struct pair *pair)
{
	scripted.cancel_answer = -ECANCELED;
	pair_close(pair);
	run_for(&fixture, 0);
	scripted_end(&fixture);
}

/* All that was asked for, everywhere. */
static void answer_all(void)
{
	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (!noted->answered && noted->handed_over)
			scripted_answer(i, (int32_t)noted->bytes);
	}
}

static void run(void)
{
	run_for(&fixture, 0);
}

/* Sends of `each` bytes of the pattern from position on, in one batch: one gathered transmission. */
static void batch_sends(struct sluice_socket *socket, struct operation *operations, int count,
			size_t each, size_t position)
{
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < count; i++, position += each) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(socket, &operations[i], pattern + position, each), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
}

/* The same, and the backend has them: nothing was taken at once. Returns the request. */
static uint32_t fly(struct sluice_socket *socket, struct operation *operations, int count,
		    size_t each)
{
	uint32_t index;

	scripted_attempt_answers(-EAGAIN);
	batch_sends(socket, operations, count, each, 0);
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, (uint64_t)count * each);
	return index;
}

/* The same, with the bytes of each apart in memory. */
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

/* ---- gathering ---- */

Test(engine, a_batch_of_1000_records_leaves_in_one_attempt)
{
	static struct operation operations[1000];
	struct pair pair;

	begin(true, &pair);
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < 1000; i++) {
		operation_init(&operations[i], &fixture);
		cr_assert_eq(start_send(pair.socket, &operations[i], pattern + 7 * i, 7), 1);
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
	scripted_assert_stream(pair.socket, 7000);
	end(&pair);
}

Test(engine, more_than_1024_segments_take_more_than_one_attempt)
{
	static struct operation operations[2049];
	struct pair pair;

	begin(true, &pair);
	batch_apart(pair.socket, operations, 2049, 300);
	run();
	cr_assert_eq(scripted.attempt_count, 3);
	cr_assert_eq(scripted.attempts[0].segments, 1024);
	cr_assert_eq(scripted.attempts[1].segments, 1024);
	cr_assert_eq(scripted.attempts[2].segments, 1);
	cr_assert(are_over(operations, 2049));
	scripted_assert_stream(pair.socket, 300 * 2049);
	end(&pair);
}

/* ---- copies of small records ---- */

Test(engine, small_records_leave_as_one_segment)
{
	static struct operation operations[2000];
	struct pair pair;

	begin(true, &pair);
	batch_apart(pair.socket, operations, 1000, 7);
	cr_assert_eq(scripted.attempt_count, 1);
	cr_assert_eq(scripted.attempts[0].segments, 1);
	run();
	cr_assert(are_over(operations, 1000));
	scripted_assert_stream(pair.socket, 7000);
	end(&pair);
}

/* 1,024 copies of 256 bytes fit, and the first record before them. */
Test(engine, more_small_records_than_can_be_copied_take_more_than_one_attempt)
{
	static struct operation operations[2000];
	struct pair pair;

	begin(true, &pair);
	batch_apart(pair.socket, operations, 2000, 250);
	run();
	cr_assert_eq(scripted.attempt_count, 2);
	cr_assert_eq(scripted.attempts[0].segments, 1);
	cr_assert_eq(scripted.attempts[1].segments, 1);
	cr_assert(are_over(operations, 2000));
	scripted_assert_stream(pair.socket, 250 * 2000);
	end(&pair);
}

/* The engine has one place for copies, which another queue's may be in. */
Test(engine, a_queue_that_is_offered_meanwhile_leaves_the_copies_of_another_alone)
{
	struct operation first[3], second[3];
	struct pair pairs[2];

	begin(true, &pairs[0]);
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
	end(&pairs[0]);
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

		begin(true, &pair);
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
		end(&pair);
	}
}

Test(engine, without_a_ring_a_short_count_of_copied_records_goes_on_as_well)
{
	struct operation operations[5];
	struct pair pair;

	begin(false, &pair);
	scripted_attempt_answers(25);
	batch_apart(pair.socket, operations, 5, 10);
	run();
	cr_assert_eq(fixture.handled, 2);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	cr_assert(are_over(operations, 5));
	scripted_assert_stream(pair.socket, 50);
	end(&pair);
}

/* The ring may read them until it answers: they are not copied to where the next copies go. */
Test(engine, what_the_ring_sends_is_not_copied)
{
	struct operation operations[5];
	struct sluice_options options;
	struct pair pair;

	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	scripted_begin_with(&fixture, true, &options);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	batch_apart(pair.socket, operations, 5, 10);
	assert_in_records(&scripted.requests[scripted_only(SLUICE__REQUEST_SEND)], 0, 0);
	answer_all();
	run();
	cr_assert(are_over(operations, 5));
	scripted_assert_stream(pair.socket, 50);
	end(&pair);
}

/* ---- the budget, and the arena ---- */

Test(engine, no_transmission_is_larger_than_the_budget)
{
	struct operation operations[3];
	struct sluice_options options;
	struct pair pair;

	pattern_fill(pattern, sizeof pattern, 0);
	sluice_options_init(&options, sizeof options);
	options.gather_bytes = 4096;
	scripted_begin_with(&fixture, true, &options);
	unix_pair(&fixture, &pair, SOCK_STREAM);
	batch_sends(pair.socket, operations, 3, 3000, 0);
	run();
	cr_assert_eq(scripted.attempt_count, 3);
	cr_assert_eq(scripted.attempts[0].bytes, 4096);
	cr_assert_eq(scripted.attempts[1].bytes, 4096);
	cr_assert_eq(scripted.attempts[2].bytes, 9000 - 2 * 4096);
	cr_assert(are_over(operations, 3));
	scripted_assert_stream(pair.socket, 9000);
	end(&pair);
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

	pattern_fill(pattern, sizeof pattern, 0);
	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	scripted_begin_with(&fixture, true, &options);
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

Test(engine, what_a_handler_starts_leaves_in_the_next_turn_together)
{
	struct operation operations[3];
	struct pair pair;

	begin(true, &pair);
	batch_sends(pair.socket, operations, 3, 10, 0);
	cr_assert_eq(scripted.attempt_count, 1);
	for (int i = 0; i < 3; i++) {
		operations[i].token = &pair;
		operations[i].then = again;
	}
	run();
	cr_assert_eq(fixture.handled, 3);
	cr_assert_eq(scripted.attempt_count, 1, "a handler's send was tried inside of it");
	run();
	cr_assert_eq(scripted.attempt_count, 2);
	cr_assert_eq(scripted.attempts[1].bytes, 30);
	cr_assert_eq(fixture.handled, 6);
	scripted_assert_stream(pair.socket, 60);
	end(&pair);
}

Test(engine, the_flags_of_a_record_go_with_its_bytes_on_either_way)
{
	struct operation operation;
	struct pair pair;

	begin(true, &pair);
	operation_init(&operation, &fixture);
	operation.args.flags = SLUICE_FLAG_MORE;
	scripted_attempt_answers(4);
	cr_assert_eq(start_send(pair.socket, &operation, pattern, 10), 1);
	run();
	cr_assert_eq(scripted.attempts[0].flags, MSG_MORE);
	cr_assert_eq(scripted.requests[scripted_only(SLUICE__REQUEST_SEND)].flags, MSG_MORE);
	answer_all();
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 10);
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	cr_assert_eq(start_send(pair.socket, &operation, pattern + 10, 10), 0);
	cr_assert_eq(scripted.attempt_count, 3);
	cr_assert_eq(scripted.attempts[1].bytes, 9);
	cr_assert_eq(scripted.attempts[1].flags, 0);
	cr_assert_eq(scripted.attempts[2].bytes, 1);
	cr_assert_eq(scripted.attempts[2].flags, MSG_OOB);
	scripted_assert_stream(pair.socket, 20);
	end(&pair);
}

/* ---- short counts ---- */

Test(engine, an_attempt_that_takes_all_ends_inside_the_call)
{
	struct operation operation;
	struct pair pair;

	begin(true, &pair);
	operation_init(&operation, &fixture);
	cr_assert_eq(start_send(pair.socket, &operation, pattern, 100), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	run();
	cr_assert_eq(fixture.handled, 0, "the handler ran for what had ended in its call");
	cr_assert_eq(scripted.request_count, 0);
	end(&pair);
}

Test(engine, on_a_ring_a_short_count_goes_on_where_it_stopped)
{
	struct operation operation;
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	operation_init(&operation, &fixture);
	scripted_attempt_answers(30);
	cr_assert_eq(start_send(pair.socket, &operation, pattern, 100), 1);
	cr_assert_eq(sluice_socket_queued_bytes(pair.socket), 70);
	run();
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, 70);
	scripted_answer(index, 50);
	run();
	cr_assert_eq(sluice_socket_queued_bytes(pair.socket), 20);
	cr_assert_not(is_over(&operation));
	run();
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, 20);
	scripted_answer(index, 20);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	cr_assert_eq(scripted.attempt_count, 1, "a full socket was tried again");
	scripted_assert_stream(pair.socket, 100);
	/* It took all: the next one is tried again. */
	cr_assert_eq(start_send(pair.socket, &operation, pattern + 100, 10), 0);
	end(&pair);
}

Test(engine, without_a_ring_a_short_count_goes_on_when_the_socket_can_be_written_to)
{
	struct operation operation;
	struct pair pair;

	begin(false, &pair);
	operation_init(&operation, &fixture);
	scripted_attempt_answers(30);
	cr_assert_eq(start_send(pair.socket, &operation, pattern, 100), 1);
	run();
	run();
	cr_assert_eq(scripted.attempt_count, 1, "a full socket was tried again");
	scripted_attempt_answers(50);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	cr_assert_eq(scripted.attempt_count, 2);
	cr_assert_eq(scripted.attempts[1].bytes, 70);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	scripted_assert_stream(pair.socket, 100);
	end(&pair);
}

Test(engine, a_short_count_of_a_gathered_send_ends_the_whole_records_and_sends_the_rest)
{
	struct operation operations[5];
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	index = fly(pair.socket, operations, 5, 10);
	scripted_answer(index, 25);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 10);
	cr_assert_not(is_over(&operations[2]));
	run();
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, 25);
	cr_assert_eq(fixture.handled, 2);
	scripted_answer(index, 25);
	run();
	cr_assert(are_over(operations, 5));
	scripted_assert_stream(pair.socket, 50);
	end(&pair);
}

Test(engine, a_full_socket_goes_to_the_ring_or_waits_until_it_can_be_written_to)
{
	static const struct {
		bool sends;
		uint8_t kind;
	} rows[] = {{true, SLUICE__REQUEST_SEND}, {false, SLUICE__REQUEST_WRITABLE}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct operation operation;
		struct pair pair;

		begin(rows[i].sends, &pair);
		operation_init(&operation, &fixture);
		scripted_attempt_answers(-EAGAIN);
		cr_assert_eq(start_send(pair.socket, &operation, pattern, 100), 1);
		run();
		cr_assert_eq(scripted_open(SLUICE__REQUEST_NONE), 1);
		scripted_answer(scripted_only(rows[i].kind), rows[i].sends ? 100 : 0);
		run();
		run();
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
		scripted_assert_stream(pair.socket, 100);
		end(&pair);
	}
}

/* 0 bytes of 20: nothing was taken, and trying at once would take nothing again. */
Test(engine, a_send_of_the_ring_that_would_block_or_was_interrupted_is_sent_again)
{
	static const int32_t answers[] = {-EAGAIN, -EINTR, 0};

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct operation operations[2];
		struct pair pair;

		begin(true, &pair);
		scripted_answer(fly(pair.socket, operations, 2, 10), answers[i]);
		run();
		cr_assert_eq(fixture.handled, 0);
		scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
		run();
		run();
		if (scripted_open(SLUICE__REQUEST_SEND))
			scripted_answer(scripted_only(SLUICE__REQUEST_SEND), 20);
		run();
		cr_assert(are_over(operations, 2));
		assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 10);
		scripted_assert_stream(pair.socket, 20);
		end(&pair);
	}
}

/* What is started meanwhile waits for the answer. */
Test(engine, one_transmission_at_a_time_is_in_flight)
{
	struct operation operations[2], later[3];
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	index = fly(pair.socket, operations, 2, 10);
	batch_sends(pair.socket, later, 2, 10, 20);
	operation_init(&later[2], &fixture);
	cr_assert_eq(start_send(pair.socket, &later[2], pattern + 40, 10), 1);
	run();
	run();
	cr_assert_eq(scripted_only(SLUICE__REQUEST_SEND), index);
	scripted_answer(index, 20);
	run();
	run();
	cr_assert(are_over(operations, 2));
	cr_assert(are_over(later, 3));
	cr_assert_eq(scripted.attempts[scripted.attempt_count - 1].bytes, 30);
	scripted_assert_stream(pair.socket, 50);
	end(&pair);
}

#ifndef NDEBUG
Test(engine, more_than_was_asked_for_is_the_backend_s_mistake, .signal = SIGABRT)
{
	struct operation operations[1];
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	index = fly(pair.socket, operations, 1, 10);
	scripted_answer(index, 11);
	run();
}
#endif

/* ---- errors ---- */

/* Ends three records of 10 bytes: `taken` bytes went before the error. */
static void fail_three(bool by_request, int32_t taken, int error_number,
		       struct operation *operations, struct pair *pair)
{
	begin(by_request, pair);
	scripted_attempt_answers(taken);
	batch_sends(pair->socket, operations, 3, 10, 0);
	run();
	if (by_request) {
		scripted_answer(scripted_only(SLUICE__REQUEST_SEND), -error_number);
	} else {
		scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
		run();
		scripted_attempt_answers(-error_number);
	}
	run();
	run();
}

Test(engine, the_first_unfinished_record_reports_the_error_and_the_others_shutdown)
{
	static const struct {
		int error_number;
		int32_t error;
	} rows[] = {
		{ECONNRESET, SLUICE_ERROR_CONNECTION_RESET},
		{EPIPE, SLUICE_ERROR_SHUTDOWN},
		{ETIMEDOUT, SLUICE_ERROR_TIMED_OUT},
		{EHOSTUNREACH, SLUICE_ERROR_HOST_UNREACHABLE},
	};

	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		int error_number = rows[i / 2].error_number;
		struct operation operations[3];
		struct pair pair;

		fail_three(i % 2, 13, error_number, operations, &pair);
		assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
		assert_ended(&operations[1], rows[i / 2].error, 3);
		cr_assert_eq(operations[1].args.native_error, error_number);
		assert_ended(&operations[2], SLUICE_ERROR_SHUTDOWN, 0);
		cr_assert_eq(operations[2].args.native_error, EPIPE);
		cr_assert_eq(sluice_socket_queued_bytes(pair.socket), 0);
		end(&pair);
	}
}

Test(engine, an_error_of_an_attempt_ends_the_record_inside_the_call)
{
	struct operation operation;
	struct pair pair;

	begin(true, &pair);
	operation_init(&operation, &fixture);
	scripted_attempt_answers(-EHOSTUNREACH);
	cr_assert_eq(start_send(pair.socket, &operation, pattern, 10), 0);
	assert_ended(&operation, SLUICE_ERROR_HOST_UNREACHABLE, 0);
	run();
	cr_assert_eq(fixture.handled, 0);
	end(&pair);
}

Test(engine, a_reset_is_reported_once_and_shutdown_from_then_on)
{
	static const struct {
		int first, second;
		int32_t first_error;
	} rows[] = {
		{ECONNRESET, EPIPE, SLUICE_ERROR_CONNECTION_RESET},
		{ECONNRESET, ECONNRESET, SLUICE_ERROR_CONNECTION_RESET},
		{EPIPE, EPIPE, SLUICE_ERROR_SHUTDOWN},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct operation operation;
		struct pair pair;

		begin(true, &pair);
		operation_init(&operation, &fixture);
		scripted_attempt_answers(-rows[i].first);
		scripted_attempt_answers(-rows[i].second);
		scripted_attempt_answers(-EPIPE);
		cr_assert_eq(start_send(pair.socket, &operation, pattern, 10), 0);
		assert_ended(&operation, rows[i].first_error, 0);
		for (int again = 0; again < 2; again++) {
			cr_assert_eq(start_send(pair.socket, &operation, pattern, 10), 0);
			assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);
		}
		end(&pair);
	}
}

Test(engine, a_reset_in_flight_is_the_first_record_s_and_the_next_sends_find_shutdown)
{
	struct operation operations[3], later;
	struct pair pair;

	fail_three(true, 10, ECONNRESET, operations, &pair);
	assert_ended(&operations[1], SLUICE_ERROR_CONNECTION_RESET, 0);
	assert_ended(&operations[2], SLUICE_ERROR_SHUTDOWN, 0);
	operation_init(&later, &fixture);
	scripted.attempt_answer = -EPIPE;
	if (start_send(pair.socket, &later, pattern, 10) == 1) {
		run();
		scripted_answer(scripted_only(SLUICE__REQUEST_SEND), -EPIPE);
		run();
	}
	assert_ended(&later, SLUICE_ERROR_SHUTDOWN, 0);
	end(&pair);
}

/* ---- cancel ---- */

Test(engine, a_record_that_waits_behind_a_flight_is_cancelled_alone)
{
	struct operation operations[2], later[3];
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	index = fly(pair.socket, operations, 2, 10);
	batch_sends(pair.socket, later, 3, 10, 20);
	cr_assert_eq(sluice_cancel(pair.socket, &later[2].args), 0);
	cr_assert_eq(fixture.handled, 0, "a handler ran inside of a cancel");
	run();
	assert_ended(&later[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(fixture.handled, 1);
	cr_assert_not(scripted.requests[index].cancelled);
	cr_assert_eq(sluice_socket_queued_bytes(pair.socket), 40);
	scripted_answer(index, 20);
	run();
	run();
	cr_assert(are_over(later, 2));
	scripted_assert_stream(pair.socket, 40);
	end(&pair);
}

Test(engine, a_record_in_flight_is_cancelled_by_the_answer)
{
	static const struct {
		int32_t answer;
		int32_t error;  /* of the second record of three, which is cancelled */
		uint64_t bytes; /* and what it had sent */
		int over;       /* records that are over by then */
	} rows[] = {
		{-ECANCELED, SLUICE_ERROR_OPERATION_ABORTED, 0, 1},
		{-EAGAIN, SLUICE_ERROR_OPERATION_ABORTED, 0, 1},
		{-EINTR, SLUICE_ERROR_OPERATION_ABORTED, 0, 1},
		{0, SLUICE_ERROR_OPERATION_ABORTED, 0, 1},
		{4, SLUICE_ERROR_OPERATION_ABORTED, 0, 1},
		{10, SLUICE_ERROR_OPERATION_ABORTED, 0, 2},
		{13, SLUICE_ERROR_OPERATION_ABORTED, 3, 2},
		{20, SLUICE_ERROR_SUCCESS, 10, 2},
		{25, SLUICE_ERROR_SUCCESS, 10, 2},
		{30, SLUICE_ERROR_SUCCESS, 10, 3},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct operation operations[3];
		struct pair pair;
		uint32_t index;

		begin(true, &pair);
		index = fly(pair.socket, operations, 3, 10);
		cr_assert_eq(sluice_cancel(pair.socket, &operations[1].args), 0);
		cr_assert_eq(sluice_cancel(pair.socket, &operations[1].args), 0);
		run();
		cr_assert(scripted.requests[index].cancelled);
		cr_assert_eq(fixture.handled, 0, "it ended while the kernel had its bytes");
		scripted_answer(index, rows[i].answer);
		run();
		assert_ended(&operations[1], rows[i].error, rows[i].bytes);
		cr_assert_eq(fixture.handled, (uint64_t)rows[i].over, "row %zu", i);
		/* The others continue. */
		while (scripted_open(SLUICE__REQUEST_NONE) || fixture.pending) {
			index = scripted.request_count - 1;
			if (!scripted.requests[index].answered)
				scripted_answer(index, (int32_t)scripted.requests[index].bytes);
			run();
		}
		assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
		assert_ended(&operations[2], SLUICE_ERROR_SUCCESS, 10);
		cr_assert_eq(scripted.streams[pair.socket->fd].length, 20 + rows[i].bytes);
		cr_assert_eq(sluice_socket_queued_bytes(pair.socket), 0);
		end(&pair);
	}
}

Test(engine, cancel_all_gives_up_the_queued_at_once_and_the_flight_with_its_answer)
{
	struct operation operations[2], later[2];
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	index = fly(pair.socket, operations, 2, 10);
	batch_sends(pair.socket, later, 2, 10, 20);
	cr_assert_eq(sluice_socket_cancel_all(pair.socket), 0);
	run();
	assert_ended(&later[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&later[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(fixture.handled, 2);
	scripted_answer(index, 15);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 5);
	end(&pair);
}

/* ---- deadlines ---- */

Test(engine, a_record_that_is_overdue_in_flight_ends_with_what_was_taken)
{
	static const struct {
		int32_t answer, error;
		uint64_t bytes;
	} rows[] = {
		{-ECANCELED, SLUICE_ERROR_TIMED_OUT, 0},
		{6, SLUICE_ERROR_TIMED_OUT, 6},
		{10, SLUICE_ERROR_SUCCESS, 10},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct operation operation;
		struct pair pair;
		uint32_t index;

		begin(true, &pair);
		operation_init(&operation, &fixture);
		operation.args.timeout_ns = 5 * MILLISECOND;
		scripted_attempt_answers(-EAGAIN);
		cr_assert_eq(start_send(pair.socket, &operation, pattern, 10), 1);
		run();
		index = scripted_only(SLUICE__REQUEST_SEND);
		run_for(&fixture, 50 * MILLISECOND);
		cr_assert(scripted.requests[index].cancelled);
		cr_assert_eq(fixture.handled, 0, "it ended while the kernel had its bytes");
		scripted_answer(index, rows[i].answer);
		run();
		assert_ended(&operation, rows[i].error, rows[i].bytes);
		end(&pair);
	}
}

Test(engine, a_record_that_is_overdue_in_the_queue_leaves_it_alone)
{
	struct operation operations[2], late;
	struct pair pair;
	uint32_t index;

	begin(true, &pair);
	index = fly(pair.socket, operations, 2, 10);
	operation_init(&late, &fixture);
	late.args.timeout_ns = MILLISECOND;
	cr_assert_eq(start_send(pair.socket, &late, pattern + 20, 10), 1);
	run_for(&fixture, SECOND);
	assert_ended(&late, SLUICE_ERROR_TIMED_OUT, 0);
	cr_assert_eq(fixture.handled, 1);
	cr_assert_not(scripted.requests[index].cancelled);
	scripted_answer(index, 20);
	run();
	cr_assert(are_over(operations, 2));
	end(&pair);
}

/* ---- close, shutdown, destroy ---- */

Test(engine, close_waits_for_the_answer_of_what_is_in_flight)
{
	static const struct {
		int32_t answer;
		uint64_t whole; /* records that had gone */
		uint64_t part;  /* bytes of the next one */
	} rows[] = {
		{-ECANCELED, 0, 0}, {0, 0, 0}, {4, 0, 4}, {10, 1, 0}, {25, 2, 5}, {30, 3, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct operation operations[3], later;
		struct pair pair;
		uint32_t index;

		begin(true, &pair);
		index = fly(pair.socket, operations, 3, 10);
		operation_init(&later, &fixture);
		cr_assert_eq(start_send(pair.socket, &later, pattern + 30, 10), 1);
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
		run();
		run();
		cr_assert(scripted.requests[index].cancelled);
		cr_assert_eq(fixture.handled, 0, "it ended while the kernel had its bytes");
		cr_assert_eq(scripted.forgets, 0, "the descriptor went while it was in use");
		cr_assert_eq(sluice_socket_fd(pair.socket), -EBADF);
		scripted_answer(index, rows[i].answer);
		run();
		for (uint64_t k = 0; k < 3; k++)
			assert_ended(&operations[k],
				     k < rows[i].whole ? SLUICE_ERROR_SUCCESS
						       : SLUICE_ERROR_OPERATION_ABORTED,
				     k < rows[i].whole    ? 10
				     : k == rows[i].whole ? rows[i].part
							  : 0);
		assert_ended(&later, SLUICE_ERROR_OPERATION_ABORTED, 0);
		cr_assert_eq(fixture.handled, 4);
		cr_assert_eq(scripted.forgets, 1);
		end(&pair);
	}
}

Test(engine, close_waits_for_the_answers_of_both_directions)
{
	struct operation operations[2], receive;
	uint32_t sent, received;
	struct pair pair;
	char byte;

	for (int receive_first = 0; receive_first < 2; receive_first++) {
		begin(true, &pair);
		sent = fly(pair.socket, operations, 2, 10);
		operation_init(&receive, &fixture);
		cr_assert_eq(start_receive(pair.socket, &receive, &byte, 1), 1);
		received = scripted_only(SLUICE__REQUEST_RECEIVE);
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
		scripted_answer(receive_first ? received : sent, -ECANCELED);
		run();
		cr_assert_eq(scripted.forgets, 0, "the descriptor went while it was in use");
		cr_assert_not(is_over(&operations[0]));
		scripted_answer(receive_first ? sent : received, -ECANCELED);
		run();
		cr_assert_eq(scripted.forgets, 1);
		assert_ended(&operations[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
		assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
		assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
		end(&pair);
	}
}

Test(engine, close_ends_also_when_what_is_in_flight_would_have_to_be_sent_again)
{
	static const int32_t answers[] = {-EAGAIN, -EINTR};

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct operation operations[2];
		struct pair pair;
		uint32_t index;

		begin(true, &pair);
		index = fly(pair.socket, operations, 2, 10);
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
		scripted_answer(index, answers[i]);
		run();
		cr_assert_eq(scripted_open(SLUICE__REQUEST_NONE), 0,
			     "a socket that ends waits until it can be written to");
		assert_ended(&operations[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
		assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
		end(&pair);
	}
}

Test(engine, a_graceful_close_waits_for_the_last_queued_byte)
{
	struct operation operations[2];
	struct pair pair;

	begin(true, &pair);
	fly(pair.socket, operations, 2, 10);
	cr_assert_eq(sluice_socket_close_gracefully(pair.socket, -1), 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_SEND), 15);
	run();
	run();
	cr_assert_eq(scripted.forgets, 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_SEND), 5);
	run();
	run();
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 10);
	cr_assert_eq(scripted.forgets, 1);
	end(&pair);
}

Test(engine, a_shutdown_leaves_what_is_in_flight_to_its_answer)
{
	static const struct {
		int32_t answer;
		int32_t error;  /* of the second of two records in flight */
		uint64_t bytes; /* and what it had sent */
	} rows[] = {
		{-EPIPE, SLUICE_ERROR_SHUTDOWN, 0},
		{10, SLUICE_ERROR_SHUTDOWN, 0},
		{14, SLUICE_ERROR_SHUTDOWN, 4},
		{20, SLUICE_ERROR_SUCCESS, 10},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct operation operations[2], later;
		struct pair pair;
		uint32_t index;

		begin(true, &pair);
		index = fly(pair.socket, operations, 2, 10);
		operation_init(&later, &fixture);
		cr_assert_eq(start_send(pair.socket, &later, pattern + 20, 10), 1);
		cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
		run();
		cr_assert_not(is_over(&operations[0]));
		cr_assert_not(is_over(&operations[1]));
		scripted.attempt_answer = -EPIPE;
		scripted_answer(index, rows[i].answer);
		for (int turn = 0; turn < 4; turn++) {
			run();
			if (scripted_open(SLUICE__REQUEST_SEND))
				scripted_answer(scripted_only(SLUICE__REQUEST_SEND), -EPIPE);
		}
		assert_ended(&operations[0],
			     rows[i].answer > 0 ? SLUICE_ERROR_SUCCESS : SLUICE_ERROR_SHUTDOWN,
			     rows[i].answer > 0 ? 10 : 0);
		assert_ended(&operations[1], rows[i].error, rows[i].bytes);
		assert_ended(&later, SLUICE_ERROR_SHUTDOWN, 0);
		end(&pair);
	}
}

Test(engine, a_shutdown_ends_what_waits_until_the_socket_can_be_written_to)
{
	struct operation operations[2];
	struct pair pair;

	begin(false, &pair);
	scripted_attempt_answers(-EAGAIN);
	batch_sends(pair.socket, operations, 2, 10, 0);
	cr_assert_eq(scripted_open(SLUICE__REQUEST_WRITABLE), 1);
	cr_assert_eq(sluice_socket_shutdown(pair.socket, SHUT_WR), 0);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_SHUTDOWN, 0);
	assert_ended(&operations[1], SLUICE_ERROR_SHUTDOWN, 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	cr_assert_eq(fixture.handled, 2);
	end(&pair);
}

Test(engine, destroy_ends_everything_that_is_pending_once)
{
	static const int32_t answers[] = {-ECANCELED, 0, 7};

	for (size_t i = 0; i < 2 * COUNT(answers); i++) {
		struct operation flying[3], queued[3], blocked[2], receive;
		struct pair pairs[3];
		char byte;

		begin(i % 2, &pairs[0]);
		unix_pair(&fixture, &pairs[1], SOCK_STREAM);
		unix_pair(&fixture, &pairs[2], SOCK_STREAM);
		scripted_attempt_answers(-EAGAIN);
		batch_sends(pairs[0].socket, flying, 3, 10, 0);
		batch_sends(pairs[0].socket, queued, 3, 10, 30);
		scripted_attempt_answers(3);
		batch_sends(pairs[1].socket, blocked, 2, 10, 0);
		operation_init(&receive, &fixture);
		cr_assert_eq(start_receive(pairs[2].socket, &receive, &byte, 1), 1);
		cr_assert_eq(scripted_open(SLUICE__REQUEST_NONE), 3);
		/* The thread that sends may have taken some; no other may. */
		scripted.cancel_answer = -ECANCELED;
		if (i % 2)
			scripted_answer(0, answers[i / 2]);
		cr_assert_eq(fixture.pending, 9);
		cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
		fixture.engine = NULL;
		cr_assert_eq(fixture.pending, 0);
		cr_assert_eq(fixture.handled, 9);
		assert_ended(&flying[0], SLUICE_ERROR_OPERATION_ABORTED,
			     i % 2 && answers[i / 2] > 0 ? 7 : 0);
		assert_ended(&queued[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
		assert_ended(&blocked[0], SLUICE_ERROR_OPERATION_ABORTED, 3);
		assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);
		for (int k = 0; k < 3; k++)
			close(pairs[k].peer);
		fixture_end(&fixture);
	}
}

/* ---- when handlers run ---- */

static void check_all_settled(struct operation *operation)
{
	const struct pair *pairs = operation->token;

	cr_assert(fixture.engine->delivering);
	for (int i = 0; i < 3; i++)
		cr_assert_not(pairs[i].socket->out.armed,
			      "a handler ran while completions were reaped");
}

Test(engine, handlers_run_when_all_completions_have_been_reaped_in_their_order)
{
	static const int order[] = {2, 0, 1};
	struct operation operations[3];
	struct pair pairs[3];

	begin(true, &pairs[0]);
	unix_pair(&fixture, &pairs[1], SOCK_STREAM);
	unix_pair(&fixture, &pairs[2], SOCK_STREAM);
	for (int i = 0; i < 3; i++) {
		scripted_attempt_answers(-EAGAIN);
		batch_sends(pairs[i].socket, &operations[i], 1, 10, 0);
		operations[i].then = check_all_settled;
		operations[i].token = pairs;
	}
	/* Late, and not in the order in which they were asked for. */
	run();
	run();
	for (int i = 0; i < 3; i++)
		scripted_answer((uint32_t)order[i], 10);
	run();
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(operations[order[i]].turn, i + 1);
	pair_close(&pairs[1]);
	pair_close(&pairs[2]);
	end(&pairs[0]);
}

/* However many there are at once. */
Test(engine, all_completions_are_reaped_in_one_turn)
{
	enum {
		MANY = 300
	};
	static struct operation operations[MANY];
	static struct pair pairs[MANY];
	struct sluice_options options;

	pattern_fill(pattern, sizeof pattern, 0);
	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	scripted_begin_with(&fixture, true, &options);
	for (int i = 0; i < MANY; i++) {
		unix_pair(&fixture, &pairs[i], SOCK_STREAM);
		batch_sends(pairs[i].socket, &operations[i], 1, 10, 0);
	}
	cr_assert_eq(scripted_open(SLUICE__REQUEST_SEND), MANY);
	answer_all();
	run();
	cr_assert(are_over(operations, MANY));
	for (int i = 0; i < MANY; i++)
		pair_close(&pairs[i]);
	scripted_end(&fixture);
}

/* ---- a backend that cannot start ---- */

Test(engine, a_request_that_cannot_be_started_is_tried_again_in_the_next_turn)
{
	static const struct {
		bool sends;
		uint8_t kind;
	} rows[] = {{true, SLUICE__REQUEST_SEND}, {false, SLUICE__REQUEST_WRITABLE}};

	for (size_t i = 0; i < 4 * COUNT(rows); i++) {
		uint32_t failures = i / 2 % 2 + 1;
		bool eager = i % 2;
		struct operation operation;
		struct pair pair;

		begin(rows[i / 4].sends, &pair);
		scripted.attempt_answer = -EAGAIN;
		for (uint32_t k = 0; k < failures; k++)
			scripted_start_answers(-ENOMEM);
		operation_init(&operation, &fixture);
		operation.args.flags = eager ? SLUICE_FLAG_PARTIAL : SLUICE_FLAG_BATCHED;
		cr_assert_eq(start_send(pair.socket, &operation, pattern, 10), 1);
		for (int turn = 0; turn < 4; turn++)
			run();
		cr_assert_eq(fixture.handled, 0);
		cr_assert_eq(scripted.start_answers_used, failures);
		scripted.attempt_answer = SCRIPTED_ALL;
		scripted_answer(scripted_only(rows[i / 4].kind), rows[i / 4].sends ? 10 : 0);
		run();
		run();
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 10);
		scripted_assert_stream(pair.socket, 10);
		end(&pair);
	}
}

/* ---- files ---- */

/* The stream is the pattern, whatever is answered; the file's own bytes are in it. */
Test(engine, a_header_a_file_and_a_trailer_leave_in_order_whatever_is_answered)
{
	static const int64_t answers[][6] = {
		{SCRIPTED_ALL},
		{300, -EAGAIN, 1, 2, -EAGAIN, 3},
		{-EAGAIN, 1000, -EAGAIN, 9000, -EAGAIN, SCRIPTED_ALL},
		{1000, 20000, -EAGAIN, -EAGAIN, SCRIPTED_ALL, 1},
	};

	for (size_t i = 0; i < 2 * COUNT(answers); i++) {
		struct operation operation, behind;
		struct sluice_packet packets[3];
		FILE *file = tmpfile();
		struct pair pair;

		begin(i % 2, &pair);
		cr_assert(file && fwrite(pattern, 1, 30000, file) == 30000 && fflush(file) == 0);
		memset(packets, 0, sizeof packets);
		packets[0] = (struct sluice_packet){
			.kind = SLUICE_PACKET_MEMORY, .base = pattern, .count = 1000};
		packets[1] = (struct sluice_packet){.kind = SLUICE_PACKET_FILE,
						    .fd = fileno(file),
						    .offset = 1000,
						    .count = 20000};
		packets[2] = (struct sluice_packet){
			.kind = SLUICE_PACKET_MEMORY, .base = pattern + 21000, .count = 500};
		for (size_t k = 0; k < COUNT(answers[0]); k++) {
			if (answers[i / 2][k])
				scripted_attempt_answers(answers[i / 2][k]);
		}
		operation_init(&operation, &fixture);
		operation_init(&behind, &fixture);
		operation.args.flags = behind.args.flags = SLUICE_FLAG_BATCHED;
		cr_assert_eq(sluice_args_set_packets(&operation.args, packets, 3), 0);
		cr_assert_eq(start(sluice_send_packets_async, pair.socket, &operation), 1);
		cr_assert_eq(start_send(pair.socket, &behind, pattern + 21500, 10), 1);
		for (int turn = 0; turn < 100 && fixture.pending; turn++) {
			run();
			answer_all();
		}
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 21500);
		assert_ended(&behind, SLUICE_ERROR_SUCCESS, 10);
		cr_assert(operation.turn < behind.turn);
		scripted_assert_stream(pair.socket, 21510);
		fclose(file);
		fixture.descriptors--; /* it was open when they were counted */
		end(&pair);
	}
}

/* ---- at random ---- */

enum {
	SOCKETS = 4,
	SENDS = 400
};

struct traffic {
	uint64_t state;
	struct pair pairs[SOCKETS];
	struct operation operations[SOCKETS][SENDS];
	uint64_t bytes[SOCKETS][SENDS];
	int started[SOCKETS];
	size_t position[SOCKETS];
	bool in_batch;
};

static uint64_t below(uint64_t *state, uint64_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % bound;
}

static void send_one(struct traffic *traffic)
{
	static const uint32_t flags[] = {
		0, 0, 0, SLUICE_FLAG_MORE, SLUICE_FLAG_EAGER, SLUICE_FLAG_BATCHED,
	};
	int s = (int)below(&traffic->state, SOCKETS), k = traffic->started[s];
	size_t bytes = below(&traffic->state, 150);
	struct operation *operation = &traffic->operations[s][k];

	if (k == SENDS)
		return;
	operation_init(operation, &fixture);
	operation->args.flags = flags[below(&traffic->state, COUNT(flags))];
	cr_assert(start_send(traffic->pairs[s].socket, operation, pattern + traffic->position[s],
			     bytes) >= 0);
	traffic->started[s]++;
	traffic->bytes[s][k] = bytes;
	traffic->position[s] += bytes;
}

/* Some request, not always the oldest: all, short, or again. */
static void answer_one(struct traffic *traffic)
{
	uint32_t open = scripted_open(SLUICE__REQUEST_NONE);
	uint64_t which = open ? below(&traffic->state, open) : 0;

	for (uint32_t i = 0; i < scripted.request_count; i++) {
		const struct scripted_request *noted = &scripted.requests[i];

		if (noted->answered || which-- > 0)
			continue;
		if (noted->kind != SLUICE__REQUEST_SEND)
			scripted_answer(i, 0);
		else if (!noted->handed_over)
			return;
		else if (below(&traffic->state, 6) == 0)
			scripted_answer(i, below(&traffic->state, 2) ? -EAGAIN : -EINTR);
		else
			scripted_answer(
				i, (int32_t)(below(&traffic->state, 2)
						     ? noted->bytes
						     : below(&traffic->state, noted->bytes + 1)));
		return;
	}
}

static void change_answer(struct traffic *traffic)
{
	switch (below(&traffic->state, 3)) {
	case 0:
		scripted.attempt_answer = -EAGAIN;
		break;
	case 1:
		scripted.attempt_answer = (int64_t)below(&traffic->state, 300) + 1;
		break;
	default:
		scripted.attempt_answer = SCRIPTED_ALL;
	}
}

static void toggle_batch(struct traffic *traffic)
{
	traffic->in_batch = !traffic->in_batch;
	if (traffic->in_batch)
		cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	else
		cr_assert_eq(sluice_batch_end(fixture.engine), 0);
}

static void traffic_step(struct traffic *traffic)
{
	switch (below(&traffic->state, 8)) {
	case 0:
		run();
		break;
	case 1:
	case 2:
		answer_one(traffic);
		break;
	case 3:
		change_answer(traffic);
		break;
	case 4:
		toggle_batch(traffic);
		break;
	default:
		send_one(traffic);
	}
}

/* Everything is sent, in order, and each record reports its own bytes. */
static void traffic_end(struct traffic *traffic)
{
	if (traffic->in_batch)
		toggle_batch(traffic);
	scripted.attempt_answer = SCRIPTED_ALL;
	for (int turn = 0; turn < 1000 && fixture.pending; turn++) {
		answer_all();
		run();
	}
	for (int s = 0; s < SOCKETS; s++) {
		uint64_t turn = 0;

		for (int k = 0; k < traffic->started[s]; k++) {
			const struct operation *operation = &traffic->operations[s][k];

			assert_ended(operation, SLUICE_ERROR_SUCCESS, traffic->bytes[s][k]);
			cr_assert(!operation->turn || operation->turn > turn,
				  "a handler ran before an earlier record's");
			if (operation->turn)
				turn = operation->turn;
		}
		scripted_assert_stream(traffic->pairs[s].socket, traffic->position[s]);
		cr_assert_eq(sluice_socket_queued_bytes(traffic->pairs[s].socket), 0);
		pair_close(&traffic->pairs[s]);
	}
	run();
	answer_all();
	scripted_end(&fixture);
}

static uint64_t current_seed;

/* Runs also when the test has failed, and then there is a seed. */
static void tell_seed(void)
{
	if (current_seed)
		fprintf(stderr, "SLUICE_TEST_SEED=%llu runs it again\n",
			(unsigned long long)current_seed);
}

Test(engine, whatever_is_answered_each_stream_stays_whole_and_in_order, .fini = tell_seed)
{
	static struct traffic traffic;
	const char *given = getenv("SLUICE_TEST_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0)
			       : (uint64_t)time(NULL) << 20 | (uint64_t)getpid() << 4 | 1;

	for (uint64_t seed = first; seed < first + (given ? 1 : 60); seed++) {
		current_seed = seed;
		memset(&traffic, 0, sizeof traffic);
		traffic.state = seed;
		begin(seed % 2, &traffic.pairs[0]);
		for (int s = 1; s < SOCKETS; s++)
			unix_pair(&fixture, &traffic.pairs[s], SOCK_STREAM);
		for (int step = 0; step < 1500; step++)
			traffic_step(&traffic);
		traffic_end(&traffic);
	}
	current_seed = 0;
}
