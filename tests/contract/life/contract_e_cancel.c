/* SPDX-License-Identifier: MIT */
/* Giving up one operation: by a call, or because its time is over. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int cancel(struct fixture *fixture, struct sluice_socket *socket,
		  struct operation *operation)
{
	int answer;

	fixture->inside_call++;
	answer = sluice_cancel(socket, &operation->args);
	fixture->inside_call--;
	return answer;
}

/* ---- e02 ---- */

BLOCKED_TEST(e02, e02_cancel_one_of_three, blocked_begin)
{
	struct operation *operations;
	unsigned char *bytes = pattern_new(30, HEAD_BYTES);

	operations = operations_new(fixture, 3);
	cr_assert_eq(start_send(blocked->pair.socket, &operations[0], bytes, 10), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &operations[1], "cancelled", 9), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &operations[2], bytes + 10, 20), 1);

	cr_assert_eq(cancel(fixture, blocked->pair.socket, &operations[1]), 0);
	run_until(fixture, is_over(&operations[1]));
	assert_ended(&operations[1], SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(operations[1].args.native_error, ECANCELED);
	cr_assert_eq(fixture->pending, 3);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + 30, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, 10);
	assert_ended(&operations[2], SLUICE_ERROR_SUCCESS, 20);
	assert_nothing_to_read(blocked->pair.peer);

	free(operations);
	free(bytes);
}

BLOCKED_TEST(e02, e02_what_was_taken_of_a_cancelled_record_stays_sent, blocked_begin)
{
	struct operation behind;
	uint64_t taken;

	operation_init(&behind, fixture);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, blocked->bytes, 1000), 1);
	run_idle(fixture);

	cr_assert_eq(cancel(fixture, blocked->pair.socket, &blocked->head), 0);
	run_until(fixture, is_over(&blocked->head));
	taken = blocked->head.args.bytes_transferred;
	assert_ended(&blocked->head, SLUICE_ERROR_OPERATION_ABORTED, taken);
	cr_assert_gt(taken, 0);
	cr_assert_lt(taken, HEAD_BYTES);
	run_reading(fixture, blocked->pair.peer, taken, 0);
	run_reading(fixture, blocked->pair.peer, 1000, 0);
	run_until(fixture, is_over(&behind));
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 1000);
	assert_nothing_to_read(blocked->pair.peer);
}

BLOCKED_TEST(e02, e02_by_an_option_a_half_sent_record_that_is_given_up_ends_the_stream,
	     blocked_begin)
{
	struct operation behind[2];
	uint64_t taken;
	int error;

	for (int i = 0; i < 2; i++) {
		operation_init(&behind[i], fixture);
		cr_assert_eq(start_send(blocked->pair.socket, &behind[i], blocked->bytes, 1000), 1);
	}
	run_idle(fixture);
	cr_assert_eq(sluice_socket_set_option(blocked->pair.socket, 77, 1), -EINVAL);
	cr_assert_eq(
		sluice_socket_set_option(blocked->pair.socket, SLUICE_SOCKET_END_ON_GIVE_UP, 1), 0);

	/* One of which nothing was taken leaves the stream whole. */
	cr_assert_eq(cancel(fixture, blocked->pair.socket, &behind[0]), 0);
	run_until(fixture, is_over(&behind[0]));
	run_idle(fixture);
	cr_assert_eq(fixture->pending, 2);

	cr_assert_eq(cancel(fixture, blocked->pair.socket, &blocked->head), 0);
	run_until(fixture, fixture->pending == 0);
	taken = blocked->head.args.bytes_transferred;
	assert_ended(&blocked->head, SLUICE_ERROR_OPERATION_ABORTED, taken);
	assert_ended(&behind[1], SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), taken);
	cr_assert_eq(error, 0);
}

BLOCKED_TEST(e02, e02_cancel_all_ends_such_a_stream_too_and_every_record_once, blocked_begin)
{
	struct operation behind[5];
	uint64_t taken;
	int error;

	for (int i = 0; i < 5; i++) {
		operation_init(&behind[i], fixture);
		cr_assert_eq(start_send(blocked->pair.socket, &behind[i], blocked->bytes, 1000), 1);
	}
	run_idle(fixture);
	cr_assert_eq(
		sluice_socket_set_option(blocked->pair.socket, SLUICE_SOCKET_END_ON_GIVE_UP, 1), 0);

	cr_assert_eq(sluice_socket_cancel_all(blocked->pair.socket), 0);
	run_until(fixture, fixture->pending == 0);
	taken = blocked->head.args.bytes_transferred;
	assert_ended(&blocked->head, SLUICE_ERROR_OPERATION_ABORTED, taken);
	for (int i = 0; i < 5; i++) {
		cr_assert(behind[i].args.error == SLUICE_ERROR_OPERATION_ABORTED ||
			  behind[i].args.error == SLUICE_ERROR_SHUTDOWN);
		cr_assert_eq(behind[i].args.bytes_transferred, 0);
	}
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), taken);
	cr_assert_eq(error, 0);
}

BLOCKED_TEST(e02, e02_what_cancel_answers, blocked_begin)
{
	struct pair other;
	struct operation idle;

	tcp_pair(fixture, &other, 0);
	operation_init(&idle, fixture);

	cr_assert_eq(sluice_cancel(NULL, &idle.args), -EINVAL);
	cr_assert_eq(sluice_cancel(other.socket, NULL), -EINVAL);
	cr_assert_eq(cancel(fixture, other.socket, &idle), -ENOENT);
	cr_assert_eq(cancel(fixture, other.socket, &blocked->head), -ENOENT);
	cr_assert_eq(start_send(other.socket, &idle, "\0", 1), 0);
	cr_assert_eq(cancel(fixture, other.socket, &idle), -ENOENT);
	assert_ended(&idle, SLUICE_ERROR_SUCCESS, 1);
	run_idle(fixture);
	cr_assert(!is_over(&blocked->head));

	cr_assert_eq(cancel(fixture, blocked->pair.socket, &blocked->head), 0);
	cr_assert_eq(cancel(fixture, blocked->pair.socket, &blocked->head), 0);
	run_until(fixture, is_over(&blocked->head));
	cr_assert_eq(blocked->head.handled, 1);
	cr_assert_eq(cancel(fixture, blocked->pair.socket, &blocked->head), -ENOENT);
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_OPERATION_ABORTED);

	pair_close(&other);
}

static void cancel_in_handler(struct operation *operation)
{
	struct operation *other = operation->token;

	cr_assert_eq(cancel(operation->fixture, operation->socket, operation), -ENOENT);
	cr_assert_eq(cancel(operation->fixture, operation->socket, other), 0);
}

Test(e02, e02_a_handler_cancels_another_record)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation behind;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	operation_init(&behind, &fixture);
	blocked.head.then = cancel_in_handler;
	blocked.head.token = &behind;
	cr_assert_eq(start_send(blocked.pair.socket, &behind, blocked.bytes, HEAD_BYTES), 1);
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, fixture.pending == 0);
	cr_assert_eq(behind.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	read_pattern(blocked.pair.peer, behind.args.bytes_transferred, 0);
	assert_nothing_to_read(blocked.pair.peer);

	blocked_end(&blocked);
	fixture_end(&fixture);
}

PAIR_TEST(e02, e02_a_cancelled_receive_takes_nothing, tcp_pair, 0)
{
	struct operation receives[3];
	char bytes[3][4];

	for (int i = 0; i < 3; i++) {
		operation_init(&receives[i], fixture);
		cr_assert_eq(start_receive(pair->socket, &receives[i], bytes[i], 4), 1);
	}
	run_idle(fixture);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(cancel(fixture, pair->socket, &receives[i]), 0);
		run_until(fixture, is_over(&receives[i]));
		assert_ended(&receives[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
	}
	write_pattern(pair->peer, 4, 0);
	run_until(fixture, is_over(&receives[2]));
	assert_ended(&receives[2], SLUICE_ERROR_SUCCESS, 4);
	cr_assert(pattern_matches(bytes[2], 4, 0));
}

PAIR_TEST(e02, e02_cancel_what_a_batch_has_queued, tcp_pair, 0)
{
	struct operation *operations;
	unsigned char bytes[3];

	operations = operations_new(fixture, 4);
	pattern_fill(bytes, sizeof bytes, 0);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], i < 3 ? bytes + i : bytes, 1),
			     1);
	cr_assert_eq(cancel(fixture, pair->socket, &operations[3]), 0);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&operations[3], SLUICE_ERROR_OPERATION_ABORTED, 0);
	read_pattern(pair->peer, 3, 0);
	assert_nothing_to_read(pair->peer);
	free(operations);
}

PAIR_TEST(e02, e02_100_sends_into_a_small_buffer_all_cancelled, tcp_pair, 0)
{
	enum {
		SENDS = 100
	};
	const size_t length = 65536;
	struct operation *operations;
	unsigned char *bytes = pattern_new(length + 251, 0);
	uint64_t taken = 0;

	cr_assert_eq(setsockopt(sluice_socket_fd(pair->socket), SOL_SOCKET, SO_SNDBUF, &(int){1024},
				sizeof(int)),
		     0);
	operations = operations_new(fixture, SENDS);
	for (size_t i = 0; i < SENDS; i++)
		start_send(pair->socket, &operations[i], bytes + i * length % 251, length);
	run_idle(fixture);
	for (size_t i = 0; i < SENDS; i++)
		cancel(fixture, pair->socket, &operations[i]);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		cr_assert(operations[i].args.error == SLUICE_ERROR_OPERATION_ABORTED ||
			  operations[i].args.bytes_transferred == length);
		taken += operations[i].args.bytes_transferred;
	}
	cr_assert_lt(taken, SENDS * length);

	/* The socket remains usable. */
	run_reading(fixture, pair->peer, taken, 0);
	start_send(pair->socket, &operations[0], bytes, length);
	run_reading(fixture, pair->peer, length, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&operations[0], SLUICE_ERROR_SUCCESS, length);

	free(operations);
	free(bytes);
}

ENGINE_TEST(e02, e02_cancel_all_gives_up_everything_on_the_socket_alone)
{
	struct blocked blocked, other;
	struct operation behind, receive;
	char byte;

	blocked_begin(fixture, &blocked);
	blocked_begin(fixture, &other);
	operation_init(&behind, fixture);
	operation_init(&receive, fixture);
	cr_assert_eq(start_send(blocked.pair.socket, &behind, "x", 1), 1);
	cr_assert_eq(start_receive(blocked.pair.socket, &receive, &byte, 1), 1);
	run_idle(fixture);

	fixture->inside_call++;
	cr_assert_eq(sluice_socket_cancel_all(blocked.pair.socket), 0);
	fixture->inside_call--;
	cr_assert_eq(sluice_socket_cancel_all(NULL), -EINVAL);
	run_until(fixture, fixture->pending == 1);
	cr_assert_eq(blocked.head.args.error, SLUICE_ERROR_OPERATION_ABORTED);
	assert_ended(&behind, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&receive, SLUICE_ERROR_OPERATION_ABORTED, 0);

	/* It is cancelled, not closed. */
	read_pattern(blocked.pair.peer, blocked.head.args.bytes_transferred, 0);
	start_send(blocked.pair.socket, &behind, "\0", 1);
	run_reading(fixture, blocked.pair.peer, 1, 0);
	run_reading(fixture, other.pair.peer, HEAD_BYTES, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&other.head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	blocked_end(&blocked);
	blocked_end(&other);
}

static void cancel_what_has_ended(struct operation *operation)
{
	struct operation *other = operation->token;
	int answer = cancel(operation->fixture, other->socket, other);

	cr_assert(answer == 0 || answer == -ENOENT);
	cr_assert_eq(other->handled, 0);
}

Test(e02, e02_what_had_ended_and_waits_for_its_handler_is_not_touched)
{
	struct fixture fixture;
	struct pair pair;
	struct operation *operations;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operations = operations_new(&fixture, 2);
	operations[0].then = cancel_what_has_ended;
	operations[0].token = &operations[1];
	cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(start_send(pair.socket, &operations[i], "\0\1", 2), 1);
	cr_assert_eq(sluice_batch_end(fixture.engine), 0);
	run_until(&fixture, fixture.pending == 0);
	for (int i = 0; i < 2; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 2);
		read_pattern(pair.peer, 2, 0);
	}

	/* Nor is the next one of the record. */
	run_send(pair.socket, &operations[1], "\0", 1);
	assert_ended(&operations[1], SLUICE_ERROR_SUCCESS, 1);
	pair_close(&pair);
	free(operations);
	fixture_end(&fixture);
}

PAIR_TEST(e02, e02_a_datagram_that_waits_is_cancelled_alone, unix_pair, SOCK_DGRAM)
{
	enum {
		SENDS = 1000
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(SENDS, 0);
	size_t first = 0;

	operations = operations_new(fixture, SENDS);
	for (size_t i = 0; i < SENDS; i++)
		if (start_send(pair->socket, &operations[i], bytes + i, 1) == 0)
			first++;
	cr_assert_lt(first, SENDS - 1);
	cr_assert_eq(cancel(fixture, pair->socket, &operations[first]), 0);
	cr_assert_eq(cancel(fixture, pair->socket, &operations[SENDS - 1]), 0);
	run_until(fixture, is_over(&operations[first]) && is_over(&operations[SENDS - 1]));
	assert_ended(&operations[first], SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&operations[SENDS - 1], SLUICE_ERROR_OPERATION_ABORTED, 0);
	run_reading(fixture, pair->peer, first, 0);
	run_reading(fixture, pair->peer, SENDS - 2 - first, first + 1);
	run_until(fixture, fixture->pending == 0);
	assert_nothing_to_read(pair->peer);

	free(operations);
	free(bytes);
}
