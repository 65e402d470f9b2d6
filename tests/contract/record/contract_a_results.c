/* SPDX-License-Identifier: MIT */
/* The results of a record, what its handler may do with it, and how often it can be used. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- a07 ---- */

BLOCKED_TEST(a07, a07_while_pending_the_record_says_so_whatever_it_said_before, blocked_begin)
{
	struct operation operation;

	operation_init(&operation, fixture);

	operation.args.error = SLUICE_ERROR_FAULT;
	operation.args.native_error = EFAULT;
	operation.args.bytes_transferred = 77;
	operation.args.last_operation = SLUICE_OPERATION_RECEIVE;
	cr_assert_eq(start_send(blocked->pair.socket, &operation, "x", 1), 1);
	cr_assert_eq(operation.args.error, SLUICE_ERROR_IO_PENDING);
	cr_assert_eq(operation.args.bytes_transferred, 0);
	cr_assert_eq(operation.args.last_operation, SLUICE_OPERATION_SEND);
	run_idle(fixture);
	cr_assert_eq(operation.args.error, SLUICE_ERROR_IO_PENDING);
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_IO_PENDING);
	cr_assert_eq(blocked->head.args.bytes_transferred, 0);

	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 1);
	cr_assert_eq(operation.args.native_error, 0);
}

PAIR_TEST(a07, a07_a_refusal_leaves_the_previous_results, tcp_pair, 0)
{
	struct operation operation;

	operation_init(&operation, fixture);

	cr_assert_eq(start_send(pair->socket, &operation, "12345", 5), 0);
	operation.args.flags = 0x2000;
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EOPNOTSUPP);
	cr_assert_eq(operation.args.flags, 0x2000);
	operation.args.flags = 0;
	cr_assert_eq(start(sluice_accept_async, pair->socket, &operation), -EINVAL);
	cr_assert_eq(sluice_args_set_buffer(&operation.args, NULL, 0, 0, 0), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EINVAL);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	cr_assert_eq(operation.args.last_operation, SLUICE_OPERATION_SEND);
}

PAIR_TEST(a07, a07_flags_are_zero_after_a_send_that_ended_badly_too, tcp_pair, 0)
{
	struct operation operation;

	operation_init(&operation, fixture);

	operation.args.flags = SLUICE_FLAG_MORE;
	cr_assert_eq(start_send(pair->socket, &operation, "\0", 1), 0);
	cr_assert_eq(operation.args.flags, 0);
	cr_assert_eq(start_send(pair->socket, &operation, "\1", 1), 0);
	read_pattern(pair->peer, 2, 0);

	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	operation.args.flags = SLUICE_FLAG_OUT_OF_BAND;
	run_send(pair->socket, &operation, "x", 1);
	assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert_eq(operation.args.native_error, EPIPE);
	cr_assert_eq(operation.args.flags, 0);
}

Test(a07, a07_token_and_remote_address_are_never_touched)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct sockaddr_in address, copy;
	int token;

	fixture_begin(&fixture);
	udp_pair(&fixture, &pair);
	operation_init(&operation, &fixture);

	address = copy = loopback(port_of(pair.peer));
	operation.args.user_token = &token;
	operation.args.remote_address = (const struct sockaddr *)&address;
	operation.args.remote_address_length = sizeof address;
	cr_assert_eq(sluice_args_set_buffer(&operation.args, "\0\1", 2, 0, 2), 0);
	for (int round = 0; round < 2; round++) {
		start_fn *begin = round ? sluice_send_async : sluice_send_to_async;

		run_start(begin, pair.socket, &operation);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 2);
		read_pattern(pair.peer, 2, 0);
		cr_assert_eq(operation.args.user_token, &token);
		cr_assert_eq(operation.args.remote_address, (const struct sockaddr *)&address);
		cr_assert_eq(operation.args.remote_address_length, sizeof address);
		cr_assert_arr_eq(&address, &copy, sizeof copy);
	}

	pair_close(&pair);
	fixture_end(&fixture);
}

static int other_handler_calls;
static void *other_handler_token;

static void other_handler(struct sluice_socket *socket, struct sluice_args *args)
{
	other_handler_calls++;
	other_handler_token = args->user_token;
}

Test(a07, a07_the_handler_is_the_one_that_the_record_names_at_its_end)
{
	struct fixture fixture;
	struct blocked blocked;
	int token;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);

	blocked.head.args.completed = other_handler;
	blocked.head.args.user_token = &token;
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, other_handler_calls > 0);
	run_idle(&fixture);
	cr_assert_eq(other_handler_calls, 1);
	cr_assert_eq(other_handler_token, &token);
	cr_assert_eq(blocked.head.handled, 0);

	blocked.head.pending = 0; /* its end was seen by the other handler */
	fixture.pending--;
	blocked_end(&blocked);
	fixture_end(&fixture);
}

PAIR_TEST(a07, a07_native_error_is_the_kernel_s_own, tcp_pair, 0)
{
	struct operation operation;
	char byte;

	operation_init(&operation, fixture);

	cr_assert_eq(start_receive(pair->socket, &operation, &byte, 1), 1);
	close_with_reset(pair->peer);
	pair->peer = -1;
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_RESET, 0);
	cr_assert_eq(operation.args.native_error, ECONNRESET);
}

/* ---- a08 ---- */

#define RESTARTS 200
#define RESTART_BYTES ((size_t)65521)

struct restarting {
	unsigned char *bytes; /* of all sends together */
	size_t started;
	size_t at_once;
};

static void send_next(struct operation *operation)
{
	struct restarting *state = operation->token;

	while (state->started < RESTARTS) {
		unsigned char *base = state->bytes + RESTART_BYTES * state->started++;

		cr_assert_eq(operation->args.error, SLUICE_ERROR_SUCCESS);
		if (start_send(operation->socket, operation, base, RESTART_BYTES) == 1)
			return;
		state->at_once++;
	}
}

Test(a08, a08_a_handler_restarts_its_record_200_times)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct restarting state = {.bytes = pattern_new(RESTART_BYTES * RESTARTS, 0)};

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, SMALL);
	operation_init(&operation, &fixture);
	operation.then = send_next;
	operation.token = &state;
	operation.socket = pair.socket;

	send_next(&operation);
	run_reading(&fixture, pair.peer, RESTART_BYTES * RESTARTS, 0);
	run_until(&fixture, is_over(&operation));
	cr_assert_eq(state.started, RESTARTS);
	cr_assert_eq(operation.handled + state.at_once, RESTARTS);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, RESTART_BYTES);

	pair_close(&pair);
	free(state.bytes);
	fixture_end(&fixture);
}

static void send_on_another_socket(struct operation *operation)
{
	struct pair *other = operation->token;

	operation->then = NULL;
	start_send(other->socket, operation, "\0\1\2", 3);
}

Test(a08, a08_a_handler_changes_its_record_and_takes_it_to_another_socket)
{
	struct fixture fixture;
	struct blocked blocked;
	struct pair other;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	tcp_pair(&fixture, &other, 0);
	blocked.head.then = send_on_another_socket;
	blocked.head.token = &other;

	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head) && blocked.head.then == NULL);
	assert_ended(&blocked.head, SLUICE_ERROR_SUCCESS, 3);
	read_pattern(other.peer, 3, 0);

	pair_close(&other);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

static int freed;

/* Writes all over the record before it is gone: the library must not look at it again. */
static void free_record(struct sluice_socket *socket, struct sluice_args *args)
{
	freed++;
	memset(args, 0xa5, sizeof *args);
	free(args);
}

BLOCKED_TEST(a08, a08_a_handler_frees_its_own_record, blocked_begin)
{
	enum {
		RECORDS = 100
	};
	void *bytes = pattern_new(RECORDS, HEAD_BYTES);

	for (int i = 0; i < RECORDS; i++) {
		struct sluice_args *args = malloc(sizeof *args);

		cr_assert(args);
		cr_assert_eq(sluice_args_init(args), 0);
		args->completed = free_record;
		args->timeout_ns = i % 2 ? 100 * SECOND : 0;
		cr_assert_eq(sluice_args_set_buffer(args, bytes, RECORDS, i, 1), 0);
		cr_assert_eq(sluice_send_async(blocked->pair.socket, args), 1);
	}
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + RECORDS, 0);
	run_until(fixture, freed == RECORDS);
	run_until(fixture, is_over(&blocked->head));
	run_idle(fixture);
	cr_assert_eq(freed, RECORDS);

	free(bytes);
}

PAIR_TEST(a08, a08_without_a_handler_in_progress_tells_the_end, tcp_pair, SMALL)
{
	struct sluice_args args;
	void *bytes = pattern_new(HEAD_BYTES, 0);
	int64_t deadline = now_ns() + GUARD_NS;

	cr_assert_eq(sluice_args_init(&args), 0);
	cr_assert_eq(sluice_args_set_buffer(&args, bytes, HEAD_BYTES, 0, HEAD_BYTES), 0);
	cr_assert_eq(sluice_send_async(pair->socket, &args), 1);
	cr_assert_eq(sluice_args_in_progress(&args), 1);
	run_reading(fixture, pair->peer, HEAD_BYTES, 0);
	while (sluice_args_in_progress(&args)) {
		cr_assert_lt(now_ns(), deadline);
		run_for(fixture, MILLISECOND);
	}
	cr_assert_eq(args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(args.bytes_transferred, HEAD_BYTES);
	cr_assert_eq(sluice_send_async(pair->socket, &args), 1);
	run_reading(fixture, pair->peer, HEAD_BYTES, 0);
	while (sluice_args_in_progress(&args))
		run_for(fixture, MILLISECOND);

	free(bytes);
}

/* ---- a09 ---- */

ENGINE_TEST(a09, a09_one_record_for_ten_sends_on_two_sockets)
{
	struct pair pairs[2];
	struct operation operation;
	unsigned char bytes[10];

	tcp_pair(fixture, &pairs[0], 0);
	unix_pair(fixture, &pairs[1], SOCK_STREAM);
	operation_init(&operation, fixture);

	pattern_fill(bytes, sizeof bytes, 0);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(start_send(pairs[i % 2].socket, &operation, bytes + i / 2, 1), 0);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 1);
	}
	for (int i = 0; i < 2; i++) {
		read_pattern(pairs[i].peer, 5, 0);
		assert_nothing_to_read(pairs[i].peer);
		pair_close(&pairs[i]);
	}
}

ENGINE_TEST(a09, a09_one_record_for_pending_sends_and_receives_by_turns)
{
	struct pair pairs[2];
	struct operation operation;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);
	unsigned char received[4];

	tcp_pair(fixture, &pairs[0], SMALL);
	unix_pair(fixture, &pairs[1], SOCK_STREAM);
	operation_init(&operation, fixture);

	for (int i = 0; i < 6; i++) {
		struct pair *pair = &pairs[i % 2];

		cr_assert_eq(start_send(pair->socket, &operation, bytes, HEAD_BYTES), 1);
		run_reading(fixture, pair->peer, HEAD_BYTES, 0);
		run_until(fixture, is_over(&operation));
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
		cr_assert_eq(operation.args.last_operation, SLUICE_OPERATION_SEND);

		cr_assert_eq(start_receive(pair->socket, &operation, received, 4), 1);
		write_pattern(pair->peer, 3, (uint64_t)i);
		run_until(fixture, is_over(&operation));
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
		cr_assert(pattern_matches(received, 3, (uint64_t)i));
	}
	cr_assert_eq(operation.handled, 12);

	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
	free(bytes);
}

static void *seen_token;

static void note_token(struct operation *operation)
{
	seen_token = operation->args.user_token;
}

Test(a09, a09_the_token_makes_the_round_trip)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	char byte;
	int token;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);
	operation.args.user_token = &token;
	operation.then = note_token;

	cr_assert_eq(start_receive(pair.socket, &operation, &byte, 1), 1);
	write_pattern(pair.peer, 1, 0);
	run_until(&fixture, is_over(&operation));
	cr_assert_eq(seen_token, &token);

	pair_close(&pair);
	fixture_end(&fixture);
}
