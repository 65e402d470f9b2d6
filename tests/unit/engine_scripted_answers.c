/* SPDX-License-Identifier: MIT */
/* The engine over the scripted backend: what comes of each answer. */
#include "engine_scripted.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- short counts ---- */

SCRIPTED_TEST(engine, an_attempt_that_takes_all_ends_inside_the_call, begin_stream, true)
{
	struct operation operation;

	operation_init(&operation, &fixture);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 100), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	run();
	cr_assert_eq(fixture.handled, 0, "the handler ran for what had ended in its call");
	cr_assert_eq(scripted.request_count, 0);
}

SCRIPTED_TEST(engine, on_a_ring_a_short_count_goes_on_where_it_stopped, begin_stream, true)
{
	struct operation operation;
	uint32_t index;

	operation_init(&operation, &fixture);
	scripted_attempt_answers(30);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 100), 1);
	cr_assert_eq(sluice_socket_queued_bytes(pair->socket), 70);
	run();
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, 70);
	scripted_answer(index, 50);
	run();
	cr_assert_eq(sluice_socket_queued_bytes(pair->socket), 20);
	cr_assert_not(is_over(&operation));
	run();
	index = scripted_only(SLUICE__REQUEST_SEND);
	cr_assert_eq(scripted.requests[index].bytes, 20);
	scripted_answer(index, 20);
	run();
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 100);
	cr_assert_eq(scripted.attempt_count, 1, "a full socket was tried again");
	scripted_assert_stream(pair->socket, 100);
	/* It took all: the next one is tried again. */
	cr_assert_eq(start_send(pair->socket, &operation, pattern + 100, 10), 0);
}

SCRIPTED_TEST(engine, without_a_ring_a_short_count_goes_on_when_the_socket_can_be_written_to,
	      begin_stream, false)
{
	struct operation operation;

	operation_init(&operation, &fixture);
	scripted_attempt_answers(30);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 100), 1);
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
	scripted_assert_stream(pair->socket, 100);
}

SCRIPTED_TEST(engine, a_short_count_of_a_gathered_send_ends_the_whole_records_and_sends_the_rest,
	      begin_stream, true)
{
	struct operation operations[5];
	uint32_t index;

	index = fly(pair->socket, operations, 5, 10);
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
	scripted_assert_stream(pair->socket, 50);
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

		begin_stream(&pair, rows[i].sends);
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
		end_over(&pair);
	}
}

/* 0 bytes of 20: nothing was taken, and trying at once would take nothing again. */
Test(engine, a_send_of_the_ring_that_would_block_or_was_interrupted_is_sent_again)
{
	static const int32_t answers[] = {-EAGAIN, -EINTR, 0};

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct operation operations[2];
		struct pair pair;

		begin_stream(&pair, true);
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
		end_over(&pair);
	}
}

/* What is started meanwhile waits for the answer. */
SCRIPTED_TEST(engine, one_transmission_at_a_time_is_in_flight, begin_stream, true)
{
	struct operation operations[2], later[3];
	uint32_t index;

	index = fly(pair->socket, operations, 2, 10);
	batch_sends(pair->socket, later, 2, 10, 20);
	operation_init(&later[2], &fixture);
	cr_assert_eq(start_send(pair->socket, &later[2], pattern + 40, 10), 1);
	run();
	run();
	cr_assert_eq(scripted_only(SLUICE__REQUEST_SEND), index);
	scripted_answer(index, 20);
	run();
	run();
	cr_assert(are_over(operations, 2));
	cr_assert(are_over(later, 3));
	cr_assert_eq(scripted.attempts[scripted.attempt_count - 1].bytes, 30);
	scripted_assert_stream(pair->socket, 50);
}

#ifndef NDEBUG
Test(engine, more_than_was_asked_for_is_the_backend_s_mistake, .signal = SIGABRT)
{
	struct operation operations[1];
	struct pair pair;
	uint32_t index;

	begin_stream(&pair, true);
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
	begin_stream(pair, by_request);
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
		end_over(&pair);
	}
}

SCRIPTED_TEST(engine, an_error_of_an_attempt_ends_the_record_inside_the_call, begin_stream, true)
{
	struct operation operation;

	operation_init(&operation, &fixture);
	scripted_attempt_answers(-EHOSTUNREACH);
	cr_assert_eq(start_send(pair->socket, &operation, pattern, 10), 0);
	assert_ended(&operation, SLUICE_ERROR_HOST_UNREACHABLE, 0);
	run();
	cr_assert_eq(fixture.handled, 0);
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

		begin_stream(&pair, true);
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
		end_over(&pair);
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
	end_over(&pair);
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

	begin_stream(&pairs[0], true);
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
	end_over(&pairs[0]);
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

	sluice_options_init(&options, sizeof options);
	options.transmit_way = SLUICE_TRANSMIT_WAY_RING;
	begin_over(true, &options);
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

		begin_stream(&pair, rows[i / 4].sends);
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
		end_over(&pair);
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

		begin_stream(&pair, i % 2);
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
		end_over(&pair);
	}
}
