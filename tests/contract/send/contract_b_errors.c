/* SPDX-License-Identifier: MIT */
/* A stream that breaks: which record reports it, and the results of those behind it. */
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUEUED 5

/* The head and QUEUED sends of a byte behind it. */
static void queue_behind(struct fixture *fixture, struct blocked *blocked,
			 struct operation *operations)
{
	for (size_t i = 0; i < QUEUED; i++) {
		operation_init(&operations[i], fixture);
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], "x", i % 2), 1);
	}
}

static void assert_shut_down_in_order(const struct blocked *blocked,
				      const struct operation *operations)
{
	for (size_t i = 0; i < QUEUED; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SHUTDOWN, 0);
		cr_assert_eq(operations[i].args.native_error, EPIPE);
		cr_assert_eq(operations[i].turn, blocked->head.turn + i + 1);
	}
}

/* Waits until the kernel knows that the other end is gone. */
static void wait_for_hangup(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

	cr_assert_eq(poll(&poll_fd, 1, (int)(GUARD_NS / MILLISECOND)), 1);
}

static int32_t send_and_wait(struct fixture *fixture, struct sluice_socket *socket, size_t length)
{
	struct operation operation;

	operation_init(&operation, fixture);
	run_send(socket, &operation, "12345", length);
	if (operation.args.error)
		cr_assert_eq(operation.args.bytes_transferred, 0);
	return operation.args.error;
}

/* A receive that meets what is known at once or waits for it. */
static int32_t receive_and_wait(struct fixture *fixture, struct sluice_socket *socket)
{
	struct operation operation;
	char byte;

	operation_init(&operation, fixture);
	run_receive(socket, &operation, &byte, 1);
	cr_assert_eq(operation.args.bytes_transferred, 0);
	return operation.args.error;
}

/* ---- b08 ---- */

BLOCKED_TEST(b08, b08_the_first_unfinished_record_tells_the_error_the_others_shutdown,
	     blocked_begin)
{
	struct operation operations[QUEUED];

	queue_behind(fixture, blocked, operations);

	read_pattern(blocked->pair.peer, 10000, 0);
	close_with_reset(blocked->pair.peer);
	blocked->pair.peer = -1;
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(blocked->head.args.error, SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_eq(blocked->head.args.native_error, ECONNRESET);
	cr_assert_geq(blocked->head.args.bytes_transferred, 10000);
	cr_assert_lt(blocked->head.args.bytes_transferred, HEAD_BYTES);
	assert_shut_down_in_order(blocked, operations);
	cr_assert_eq(send_and_wait(fixture, blocked->pair.socket, 5), SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(send_and_wait(fixture, blocked->pair.socket, 0), SLUICE_ERROR_SHUTDOWN);
}

BLOCKED_TEST(b08, b08_a_unix_stream_whose_reader_goes, blocked_begin_unix)
{
	struct operation operations[QUEUED];

	queue_behind(fixture, blocked, operations);

	read_pattern(blocked->pair.peer, 10000, 0);
	close(blocked->pair.peer);
	blocked->pair.peer = -1;
	run_until(fixture, fixture->pending == 0);
	/* The kernel reports EPIPE or, because of unread bytes, ECONNRESET. */
	cr_assert(blocked->head.args.error == SLUICE_ERROR_SHUTDOWN ||
		  blocked->head.args.error == SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_geq(blocked->head.args.bytes_transferred, 10000);
	cr_assert_lt(blocked->head.args.bytes_transferred, HEAD_BYTES);
	assert_shut_down_in_order(blocked, operations);
}

#define GATHERED 400
#define GATHERED_BYTES ((size_t)3001)

/* Complete ones succeed, one reports the reset, and the rest, gathered or not, are Shutdown. */
static void assert_broken_once(const struct operation *operations, uint64_t received)
{
	uint64_t taken = 0;
	size_t i = 0;

	for (; operations[i].args.error == SLUICE_ERROR_SUCCESS; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, GATHERED_BYTES);
		taken += GATHERED_BYTES;
	}
	cr_assert_lt(i, GATHERED);
	cr_assert_gt(i, 0);
	cr_assert_eq(operations[i].args.error, SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_lt(operations[i].args.bytes_transferred, GATHERED_BYTES);
	taken += operations[i].args.bytes_transferred;
	cr_assert_geq(taken, received);
	for (i++; i < GATHERED; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SHUTDOWN, 0);
	for (i = 1; i < GATHERED; i++)
		cr_assert_eq(operations[i].turn, operations[i - 1].turn + 1);
}

PAIR_TEST(b08, b08_a_gathered_transmission_that_breaks_is_settled_record_by_record, tcp_pair, SMALL)
{
	struct operation *operations;
	unsigned char *bytes = pattern_new(GATHERED * GATHERED_BYTES, 0);

	operations = operations_new(fixture, GATHERED);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < GATHERED; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], bytes + i * GATHERED_BYTES,
					GATHERED_BYTES),
			     1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_reading(fixture, pair->peer, 20000, 0);
	close_with_reset(pair->peer);
	pair->peer = -1;
	run_until(fixture, fixture->pending == 0);
	assert_broken_once(operations, 20000);

	free(operations);
	free(bytes);
}

/* What is at the head when the stream is already broken asks the kernel, be it empty or PARTIAL. */
static void empty_or_partial_reports(size_t length, uint32_t flags)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);

	close_with_reset(pair.peer);
	pair.peer = -1;
	wait_for_hangup(sluice_socket_fd(pair.socket));
	operation.args.flags = flags;
	run_send(pair.socket, &operation, "12345", length);
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_RESET, 0);
	operation.args.flags = flags;
	run_send(pair.socket, &operation, "12345", length);
	assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);

	pair_close(&pair);
	fixture_end(&fixture);
}

Test(b08, b08_an_empty_record_at_the_head_reports_the_kernel_s_answer)
{
	empty_or_partial_reports(0, 0);
}

Test(b08, b08_an_empty_batched_record_at_the_head_reports_the_kernel_s_answer)
{
	empty_or_partial_reports(0, SLUICE_FLAG_BATCHED);
}

Test(b08, b08_a_partial_record_at_the_head_reports_the_kernel_s_answer)
{
	empty_or_partial_reports(5, SLUICE_FLAG_PARTIAL);
}

/* ---- b12 ---- */

PAIR_TEST(b12, b12_a_reset_is_told_by_the_first_send_then_shutdown, tcp_pair, 0)
{
	close_with_reset(pair->peer);
	pair->peer = -1;

	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 0), SLUICE_ERROR_SHUTDOWN);
}

PAIR_TEST(b12, b12_a_receive_after_a_send_has_met_the_reset_tells_it_too, tcp_pair, 0)
{
	close_with_reset(pair->peer);
	pair->peer = -1;

	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_eq(receive_and_wait(fixture, pair->socket), SLUICE_ERROR_CONNECTION_RESET);
}

PAIR_TEST(b12, b12_a_send_after_a_receive_has_met_the_reset_tells_it_too, tcp_pair, 0)
{
	close_with_reset(pair->peer);
	pair->peer = -1;

	cr_assert_eq(receive_and_wait(fixture, pair->socket), SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_CONNECTION_RESET);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_SHUTDOWN);
}

PAIR_TEST(b12, b12_a_batched_send_meets_the_reset_as_an_eager_one_does, tcp_pair, 0)
{
	struct operation *operations;

	operations = operations_new(fixture, 3);
	close_with_reset(pair->peer);
	pair->peer = -1;

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], "12345", 5), 1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&operations[0], SLUICE_ERROR_CONNECTION_RESET, 0);
	assert_ended(&operations[1], SLUICE_ERROR_SHUTDOWN, 0);
	assert_ended(&operations[2], SLUICE_ERROR_SHUTDOWN, 0);

	free(operations);
}

#define SEGMENTS 300

/* One connection that is ended in the middle of a list; how, says the caller. */
static void break_in_the_middle_of_a_list(struct fixture *fixture, unsigned char *bytes,
					  bool receiving, void (*end)(int fd))
{
	struct pair pair;
	struct operation list_send, behind, receive;
	struct iovec list[SEGMENTS];
	char byte;

	tcp_pair(fixture, &pair, SMALL);
	operation_init(&list_send, fixture);
	operation_init(&behind, fixture);
	operation_init(&receive, fixture);
	for (size_t i = 0; i < SEGMENTS; i++)
		list[i] = segment(bytes + i * (HEAD_BYTES / SEGMENTS), HEAD_BYTES / SEGMENTS);

	if (receiving)
		cr_assert_eq(start_receive(pair.socket, &receive, &byte, 1), 1);
	cr_assert_eq(sluice_args_set_buffer_list(&list_send.args, list, SEGMENTS), 0);
	cr_assert_eq(start(sluice_send_async, pair.socket, &list_send), 1);
	cr_assert_eq(start_send(pair.socket, &behind, "x", 1), 1);
	run_reading(fixture, pair.peer, 5000, 0);
	end(pair.peer);
	pair.peer = -1;
	run_until(fixture, fixture->pending == 0);

	cr_assert_eq(list_send.args.error, SLUICE_ERROR_CONNECTION_RESET, "%s",
		     sluice_socket_error_name(list_send.args.error));
	cr_assert_geq(list_send.args.bytes_transferred, 5000);
	assert_ended(&behind, SLUICE_ERROR_SHUTDOWN, 0);
	if (receiving)
		assert_ended(&receive, SLUICE_ERROR_CONNECTION_RESET, 0);
	cr_assert_eq(receive_and_wait(fixture, pair.socket), SLUICE_ERROR_CONNECTION_RESET);
	pair_close(&pair);
}

static void break_many(int rounds, bool receiving, void (*end)(int fd))
{
	struct fixture fixture;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);

	fixture_begin(&fixture);
	for (int i = 0; i < rounds; i++)
		break_in_the_middle_of_a_list(&fixture, bytes, receiving, end);
	free(bytes);
	fixture_end(&fixture);
}

Test(b12, b12_200_connections_reset_in_the_middle_of_a_list)
{
	break_many(200, false, close_with_reset);
}

Test(b12, b12_200_connections_reset_in_the_middle_of_a_list_with_a_receive_armed)
{
	break_many(200, true, close_with_reset);
}

/* The peer's kernel has unread bytes, and answers with RST. */
static void close_unread(int fd)
{
	int unread = 0;

	while (unread == 0)
		cr_assert_eq(ioctl(fd, FIONREAD, &unread), 0);
	close(fd);
}

Test(b12, b12_40_connections_closed_with_unread_bytes_in_the_middle_of_a_list)
{
	break_many(40, false, close_unread);
}

Test(b12, b12_40_connections_closed_with_unread_bytes_with_a_receive_armed)
{
	break_many(40, true, close_unread);
}

ENGINE_TEST(b12, b12_many_connections_reset_at_once)
{
	enum {
		PAIRS = 100
	};
	struct pair pairs[PAIRS];
	struct operation *operations;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);

	operations = operations_new(fixture, PAIRS);
	for (size_t i = 0; i < PAIRS; i++) {
		tcp_pair(fixture, &pairs[i], SMALL);
		cr_assert_eq(start_send(pairs[i].socket, &operations[i], bytes, HEAD_BYTES), 1);
	}
	run_idle(fixture);
	for (size_t i = 0; i < PAIRS; i++) {
		close_with_reset(pairs[i].peer);
		pairs[i].peer = -1;
	}
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < PAIRS; i++) {
		cr_assert_eq(operations[i].args.error, SLUICE_ERROR_CONNECTION_RESET);
		pair_close(&pairs[i]);
	}
	free(operations);
	free(bytes);
}

PAIR_TEST(b12, b12_the_peer_s_orderly_close_is_shutdown_never_a_reset, tcp_pair, 0)
{
	int32_t first;

	close(pair->peer);
	pair->peer = -1;
	wait_for_hangup(sluice_socket_fd(pair->socket));

	first = send_and_wait(fixture, pair->socket, 5);
	cr_assert(first == SLUICE_ERROR_SUCCESS || first == SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(poll(&(struct pollfd){.fd = sluice_socket_fd(pair->socket)}, 1, 10000), 1);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 0), SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(receive_and_wait(fixture, pair->socket), SLUICE_ERROR_SUCCESS);
}

PAIR_TEST(b12, b12_a_unix_peer_s_close_is_shutdown_from_the_first, unix_pair, SOCK_STREAM)
{
	close(pair->peer);
	pair->peer = -1;

	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_SHUTDOWN);
	cr_assert_eq(send_and_wait(fixture, pair->socket, 5), SLUICE_ERROR_SHUTDOWN);
}
