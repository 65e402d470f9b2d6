/* SPDX-License-Identifier: MIT */
/* Ending one's own side: shutdown at once, disconnect after the last byte. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- e04 ---- */

#define QUEUED 3

static void queue_behind(struct fixture *fixture, struct blocked *blocked,
			 struct operation *operations)
{
	for (size_t i = 0; i < QUEUED; i++) {
		operation_init(&operations[i], fixture);
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], blocked->bytes, i),
			     1);
	}
}

static void shut_down_with_sends_queued(int how)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation operations[QUEUED];
	uint64_t taken;
	int error;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	queue_behind(&fixture, &blocked, operations);
	run_idle(&fixture);

	fixture.inside_call++;
	cr_assert_eq(sluice_socket_shutdown(blocked.pair.socket, how), 0);
	fixture.inside_call--;
	/* Nobody reads meanwhile. */
	run_until(&fixture, fixture.pending == 0);
	taken = blocked.head.args.bytes_transferred;
	assert_ended(&blocked.head, SLUICE_ERROR_SHUTDOWN, taken);
	cr_assert_gt(taken, 0);
	cr_assert_lt(taken, HEAD_BYTES);
	for (size_t i = 0; i < QUEUED; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SHUTDOWN, 0);
		cr_assert_eq(operations[i].turn, i + 2);
	}

	cr_assert_eq(run_reading_to_end(&fixture, blocked.pair.peer, 0, &error), taken);
	cr_assert_eq(error, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(e04, e04_shutdown_ends_queued_sends_at_once_and_the_peer_gets_what_was_taken)
{
	shut_down_with_sends_queued(SHUT_WR);
}

Test(e04, e04_so_does_shutdown_of_both_directions)
{
	shut_down_with_sends_queued(SHUT_RDWR);
}

BLOCKED_TEST(e04, e04_shutdown_of_a_unix_stream, blocked_begin_unix)
{
	uint64_t taken;
	int error;

	cr_assert_eq(sluice_socket_shutdown(blocked->pair.socket, SHUT_WR), 0);
	run_until(fixture, fixture->pending == 0);
	taken = blocked->head.args.bytes_transferred;
	assert_ended(&blocked->head, SLUICE_ERROR_SHUTDOWN, taken);
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), taken);
	cr_assert_eq(error, 0);
}

BLOCKED_TEST(e04, e04_shutdown_of_the_receiving_side_leaves_the_sends_alone, blocked_begin)
{
	cr_assert_eq(sluice_socket_shutdown(blocked->pair.socket, SHUT_RD), 0);
	run_idle(fixture);
	cr_assert(!is_over(&blocked->head));
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
}

PAIR_TEST(e04, e04_what_shutdown_answers, tcp_pair, 0)
{
	struct sluice_socket *fresh;

	fresh = attach(fixture, new_tcp(0));

	cr_assert_eq(sluice_socket_shutdown(NULL, SHUT_WR), -EINVAL);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, 3), -EINVAL);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, -1), -EINVAL);
	cr_assert_eq(sluice_socket_shutdown(fresh, SHUT_WR), -ENOTCONN);
	assert_nothing_to_read(pair->peer);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	run_idle(fixture);
	assert_end_of_stream(pair->peer);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), -EBADF);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, 3), -EBADF);

	sluice_socket_destroy(fresh);
}

PAIR_TEST(e04, e04_100_megabytes_then_shutdown_then_close_is_an_end_and_no_reset, tcp_pair, 0)
{
	enum {
		SEGMENTS = 10
	};
	const size_t each = 10 * 1000 * 1000, length = SEGMENTS * each;
	struct reader reader;
	struct operation send;
	struct iovec list[SEGMENTS];
	/* All segments lie in this memory: each begins where the pattern goes on. */
	unsigned char *bytes = pattern_new(each + PATTERN_PERIOD, 0);

	operation_init(&send, fixture);

	for (size_t i = 0; i < SEGMENTS; i++)
		list[i] = segment(bytes + i * each % PATTERN_PERIOD, each);
	cr_assert_eq(sluice_args_set_buffer_list(&send.args, list, SEGMENTS), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, &send), 1);
	reader_start(&reader, pair->peer, 0);
	run_until(fixture, is_over(&send));
	assert_ended(&send, SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run_idle(fixture);
	reader_join(&reader);
	cr_assert_eq(reader.error, 0);
	cr_assert_eq(reader.bytes, length);

	free(bytes);
}

static void start_behind_shutdown(struct operation *operation)
{
	struct operation *next = operation->token;

	cr_assert_geq(start_send(operation->socket, next, "x", 1), 0);
}

Test(e04, e04_what_its_handlers_start_ends_with_shutdown_too)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation next;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	operation_init(&next, &fixture);
	blocked.head.then = start_behind_shutdown;
	blocked.head.token = &next;

	cr_assert_eq(sluice_socket_shutdown(blocked.pair.socket, SHUT_WR), 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&next, SLUICE_ERROR_SHUTDOWN, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

static void shut_down_then_close(int how, enum sluice_socket_error of_sends,
				 enum sluice_socket_error of_receives)
{
	struct fixture fixture;
	struct blocked blocked;
	struct operation operations[QUEUED], receive;
	unsigned char byte;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	queue_behind(&fixture, &blocked, operations);
	operation_init(&receive, &fixture);
	cr_assert_eq(start_receive(blocked.pair.socket, &receive, &byte, 1), 1);
	run_idle(&fixture);

	cr_assert_eq(sluice_socket_shutdown(blocked.pair.socket, how), 0);
	cr_assert_eq(sluice_socket_close(blocked.pair.socket), 0);
	run_until(&fixture, fixture.pending == 0);
	assert_ended(&blocked.head, of_sends, blocked.head.args.bytes_transferred);
	for (size_t i = 0; i < QUEUED; i++)
		assert_ended(&operations[i], of_sends, 0);
	assert_ended(&receive, of_receives, 0);
	blocked_end(&blocked);
	fixture_end(&fixture);
}

Test(e04, e04_a_close_behind_a_shutdown_of_the_sending_side_changes_no_result)
{
	shut_down_then_close(SHUT_WR, SLUICE_ERROR_SHUTDOWN, SLUICE_ERROR_OPERATION_ABORTED);
}

Test(e04, e04_a_close_behind_a_shutdown_of_the_receiving_side_changes_no_result)
{
	shut_down_then_close(SHUT_RD, SLUICE_ERROR_OPERATION_ABORTED, SLUICE_ERROR_SUCCESS);
}

Test(e04, e04_a_close_behind_a_shutdown_of_both_sides_changes_no_result)
{
	shut_down_then_close(SHUT_RDWR, SLUICE_ERROR_SHUTDOWN, SLUICE_ERROR_SUCCESS);
}

/* ---- e01: disconnect ---- */

BLOCKED_TEST(e01, e01_disconnect_takes_its_place_in_the_queue, blocked_begin)
{
	struct operation disconnect, behind;
	int error;

	operation_init(&disconnect, fixture);
	operation_init(&behind, fixture);

	cr_assert_eq(start(sluice_disconnect_async, blocked->pair.socket, &disconnect), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, "x", 1), 1);
	run_idle(fixture);
	cr_assert_eq(fixture->pending, 3);
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), HEAD_BYTES);
	cr_assert_eq(error, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_ended(&disconnect, SLUICE_ERROR_SUCCESS, 0);
	assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
	cr_assert(blocked->head.turn < disconnect.turn && disconnect.turn < behind.turn);
}

PAIR_TEST(e01, e01_disconnected_without_reuse_it_does_not_connect_again, tcp_pair, 0)
{
	struct operation operation;
	struct sockaddr_in address = loopback(1);

	operation_init(&operation, fixture);

	run_start(sluice_disconnect_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	assert_end_of_stream(pair->peer);
	cr_assert_eq(start_connect(pair->socket, &operation, &address), -EISCONN);
}

PAIR_TEST(e01, e01_disconnected_with_reuse_it_is_not_connected_and_connects_again, tcp_pair, 0)
{
	struct operation operation;
	struct sockaddr_in address;
	int listener, peer;
	unsigned char byte;

	operation_init(&operation, fixture);
	listener = listen_tcp(0);
	address = loopback(port_of(listener));

	for (int round = 0; round < 3; round++) {
		operation.args.disconnect_reuse_socket = 1;
		run_start(sluice_disconnect_async, pair->socket, &operation);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
		assert_end_of_stream(pair->peer);
		close(pair->peer);

		cr_assert_eq(start_send(pair->socket, &operation, "x", 1), -ENOTCONN);
		cr_assert_eq(sluice_args_set_buffer(&operation.args, NULL, 0, 0, 0), 0);
		cr_assert_eq(start_receive(pair->socket, &operation, &byte, 1), -ENOTCONN);
		run_connect(pair->socket, &operation, &address);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
		peer = accept(listener, NULL, NULL);
		cr_assert(peer >= 0);
		cr_assert_eq(start_send(pair->socket, &operation, "\0", 1), 0);
		read_pattern(peer, 1, 0);
		pair->peer = peer;
	}

	close(listener);
}

BLOCKED_TEST(e01, e01_a_disconnect_with_reuse_waits_for_the_last_byte_too, blocked_begin)
{
	struct operation disconnect;
	int error;

	operation_init(&disconnect, fixture);

	disconnect.args.disconnect_reuse_socket = 1;
	cr_assert_eq(start(sluice_disconnect_async, blocked->pair.socket, &disconnect), 1);
	cr_assert_eq(run_reading_to_end(fixture, blocked->pair.peer, 0, &error), HEAD_BYTES);
	cr_assert_eq(error, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	assert_ended(&disconnect, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_eq(start_send(blocked->pair.socket, &blocked->head, "x", 1), -ENOTCONN);
}

BLOCKED_TEST(e01, e01_a_cancelled_disconnect_leaves_the_stream_open, blocked_begin)
{
	struct operation disconnect, behind;

	operation_init(&disconnect, fixture);
	operation_init(&behind, fixture);

	cr_assert_eq(start(sluice_disconnect_async, blocked->pair.socket, &disconnect), 1);
	cr_assert_eq(sluice_cancel(blocked->pair.socket, &disconnect.args), 0);
	run_until(fixture, is_over(&disconnect));
	assert_ended(&disconnect, SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, blocked->bytes, 3), 1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_reading(fixture, blocked->pair.peer, 3, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 3);
}
