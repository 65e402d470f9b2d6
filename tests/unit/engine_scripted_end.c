/* SPDX-License-Identifier: MIT */
/* The engine over the scripted backend: cancelled, overdue, closed, shut down, destroyed. */
#include "engine_scripted.h"

#include <errno.h>
#include <unistd.h>

/* ---- cancel ---- */

SCRIPTED_TEST(engine, a_record_that_waits_behind_a_flight_is_cancelled_alone, begin_stream, true)
{
	struct operation operations[2], later[3];
	uint32_t index;

	index = fly(pair->socket, operations, 2, 10);
	batch_sends(pair->socket, later, 3, 10, 20);
	cr_assert_eq(sluice_cancel(pair->socket, &later[2].args), 0);
	cr_assert_eq(fixture.handled, 0, "a handler ran inside of a cancel");
	run();
	assert_ended(&later[2], SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(fixture.handled, 1);
	cr_assert_not(scripted.requests[index].cancelled);
	cr_assert_eq(sluice_socket_queued_bytes(pair->socket), 40);
	scripted_answer(index, 20);
	run();
	run();
	cr_assert(are_over(later, 2));
	scripted_assert_stream(pair->socket, 40);
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

		begin_stream(&pair, true);
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
		end_over(&pair);
	}
}

SCRIPTED_TEST(engine, cancel_all_gives_up_the_queued_at_once_and_the_flight_with_its_answer,
	      begin_stream, true)
{
	struct operation operations[2], later[2];
	uint32_t index;

	index = fly(pair->socket, operations, 2, 10);
	batch_sends(pair->socket, later, 2, 10, 20);
	cr_assert_eq(sluice_socket_cancel_all(pair->socket), 0);
	run();
	assert_ended(&later[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&later[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(fixture.handled, 2);
	scripted_answer(index, 15);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 5);
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

		begin_stream(&pair, true);
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
		end_over(&pair);
	}
}

SCRIPTED_TEST(engine, a_record_that_is_overdue_in_the_queue_leaves_it_alone, begin_stream, true)
{
	struct operation operations[2], late;
	uint32_t index;

	index = fly(pair->socket, operations, 2, 10);
	operation_init(&late, &fixture);
	late.args.timeout_ns = MILLISECOND;
	cr_assert_eq(start_send(pair->socket, &late, pattern + 20, 10), 1);
	run_for(&fixture, SECOND);
	assert_ended(&late, SLUICE_ERROR_TIMED_OUT, 0);
	cr_assert_eq(fixture.handled, 1);
	cr_assert_not(scripted.requests[index].cancelled);
	scripted_answer(index, 20);
	run();
	cr_assert(are_over(operations, 2));
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

		begin_stream(&pair, true);
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
		end_over(&pair);
	}
}

Test(engine, close_waits_for_the_answers_of_both_directions)
{
	struct operation operations[2], receive;
	uint32_t sent, received;
	struct pair pair;
	char byte;

	for (int receive_first = 0; receive_first < 2; receive_first++) {
		begin_stream(&pair, true);
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
		end_over(&pair);
	}
}

Test(engine, close_ends_also_when_what_is_in_flight_would_have_to_be_sent_again)
{
	static const int32_t answers[] = {-EAGAIN, -EINTR};

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct operation operations[2];
		struct pair pair;
		uint32_t index;

		begin_stream(&pair, true);
		index = fly(pair.socket, operations, 2, 10);
		cr_assert_eq(sluice_socket_close(pair.socket), 0);
		scripted_answer(index, answers[i]);
		run();
		cr_assert_eq(scripted_open(SLUICE__REQUEST_NONE), 0,
			     "a socket that ends waits until it can be written to");
		assert_ended(&operations[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
		assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
		end_over(&pair);
	}
}

SCRIPTED_TEST(engine, a_graceful_close_waits_for_the_last_queued_byte, begin_stream, true)
{
	struct operation operations[2];

	fly(pair->socket, operations, 2, 10);
	cr_assert_eq(sluice_socket_close_gracefully(pair->socket, -1), 0);
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

		begin_stream(&pair, true);
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
		end_over(&pair);
	}
}

SCRIPTED_TEST(engine, a_shutdown_ends_what_waits_until_the_socket_can_be_written_to, begin_stream,
	      false)
{
	struct operation operations[2];

	scripted_attempt_answers(-EAGAIN);
	batch_sends(pair->socket, operations, 2, 10, 0);
	cr_assert_eq(scripted_open(SLUICE__REQUEST_WRITABLE), 1);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	run();
	assert_ended(&operations[0], SLUICE_ERROR_SHUTDOWN, 0);
	assert_ended(&operations[1], SLUICE_ERROR_SHUTDOWN, 0);
	scripted_answer(scripted_only(SLUICE__REQUEST_WRITABLE), 0);
	run();
	cr_assert_eq(fixture.handled, 2);
}

Test(engine, destroy_ends_everything_that_is_pending_once)
{
	static const int32_t answers[] = {-ECANCELED, 0, 7};

	for (size_t i = 0; i < 2 * COUNT(answers); i++) {
		struct operation flying[3], queued[3], blocked[2], receive;
		struct pair pairs[3];
		char byte;

		begin_stream(&pairs[0], i % 2);
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
