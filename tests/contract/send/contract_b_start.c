/* SPDX-License-Identifier: MIT */
/* What sluice_send_async answers: pending, done, refused. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- b01, b02 ---- */

static void assert_in_order(const struct operation *operations, size_t count)
{
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++) {
		if (!operations[i].handled)
			continue;
		cr_assert_gt(operations[i].turn, last, "the handler of %zu ran too early", i);
		last = operations[i].turn;
	}
}

PAIR_TEST(b01, b01_every_pending_send_has_its_handler_once, tcp_pair, SMALL)
{
	enum {
		SENDS = 500
	};
	const size_t length = 65536;
	struct reader reader;
	struct operation *operations;
	unsigned char *bytes = pattern_new(length + 251, 0);
	size_t pending = 0;

	operations = operations_new(fixture, SENDS);

	reader_start(&reader, pair->peer, 0);
	for (size_t i = 0; i < SENDS; i++)
		pending += (size_t)start_send(pair->socket, &operations[i],
					      bytes + i * length % 251, length);
	cr_assert_gt(pending, 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(fixture->handled, pending);
	assert_in_order(operations, SENDS);

	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run_idle(fixture);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, SENDS * length);
	free(operations);
	free(bytes);
}

PAIR_TEST(b01, b01_unix_datagrams_wait_for_their_reader_in_order, unix_pair, SOCK_DGRAM)
{
	enum {
		SENDS = 1000
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(SENDS, 0);
	size_t pending = 0;

	operations = operations_new(fixture, SENDS);

	for (size_t i = 0; i < SENDS; i++)
		pending += (size_t)start_send(pair->socket, &operations[i], bytes + i, 1);
	cr_assert_gt(pending, 0);
	run_idle(fixture);
	run_reading(fixture, pair->peer, SENDS, 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 1);
	cr_assert_eq(fixture->handled, pending);
	assert_in_order(operations, SENDS);

	free(operations);
	free(bytes);
}

PAIR_TEST(b01, b01_unix_datagrams_whose_reader_goes_end_each_by_itself, unix_pair, SOCK_DGRAM)
{
	enum {
		SENDS = 1000
	};
	struct operation *operations;
	bool refused = false;

	operations = operations_new(fixture, SENDS);

	for (size_t i = 0; i < SENDS; i++)
		start_send(pair->socket, &operations[i], "x", 1);
	cr_assert_gt(fixture->pending, 0);
	close(pair->peer);
	pair->peer = -1;
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		if (!operations[i].handled)
			continue;
		cr_assert_eq(operations[i].args.bytes_transferred, 0);
		if (!refused)
			assert_ended(&operations[i], SLUICE_ERROR_CONNECTION_REFUSED, 0);
		cr_assert_neq(operations[i].args.error, SLUICE_ERROR_SUCCESS);
		refused = true;
	}
	cr_assert(refused);

	free(operations);
}

PAIR_TEST(b02, b02_a_send_done_at_once_answers_0_and_runs_no_handler, tcp_pair, 0)
{
	enum {
		SENDS = 2000
	};
	struct operation operation;
	unsigned char *bytes = pattern_new(64 + 251, 0);

	operation_init(&operation, fixture);

	for (size_t i = 0; i < SENDS; i++) {
		cr_assert_eq(start_send(pair->socket, &operation, bytes + i * 64 % 251, 64), 0);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 64);
		read_pattern(pair->peer, 64, i * 64);
	}
	run_idle(fixture);
	cr_assert_eq(operation.handled, 0);

	free(bytes);
}

PAIR_TEST(b02, b02_badly_at_once_is_0_too, tcp_pair, 0)
{
	struct operation operation;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	operation.args.flags = SLUICE_FLAG_EAGER;
	cr_assert_eq(start_send(pair->socket, &operation, "x", 1), 0);
	assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);
	run_idle(fixture);
	cr_assert_eq(operation.handled, 0);
}

static void count_call(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	++*(int *)args->user_token;
}

static int send_completely(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice_args_complete(socket, args, sluice_send_async(socket, args));
}

/* The handler runs once for each of pending, over and refused, and the record says which. */
PAIR_TEST(b02, b02_complete_makes_every_answer_a_call_of_the_handler, tcp_pair, 0)
{
	int calls = 0;
	struct sluice_args args = {.completed = count_call, .user_token = &calls};

	cr_assert_eq(sluice_args_set_buffer(&args, "x", 1, 0, 1), 0);
	args.flags = SLUICE_FLAG_EAGER;
	cr_assert_eq(send_completely(pair->socket, &args), 1);
	cr_assert_eq(calls, 1);
	cr_assert_eq(args.bytes_transferred, 1);

	args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(send_completely(pair->socket, &args), 1);
	cr_assert_eq(calls, 1);
	/* A second start is refused, and does not end the first one. */
	cr_assert_eq(send_completely(pair->socket, &args), -EBUSY);
	cr_assert_eq(calls, 1);
	run_until(fixture, calls == 2);
	cr_assert_eq(args.error, SLUICE_ERROR_SUCCESS);

	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	cr_assert_eq(send_completely(pair->socket, &args), 1);
	cr_assert_eq(calls, 3);
	cr_assert_eq(args.error, sluice_socket_error_from_errno(EBADF));
	cr_assert_eq(args.native_error, EBADF);
	cr_assert_eq(args.bytes_transferred, 0);
	cr_assert_eq(sluice_args_complete(pair->socket, NULL, 0), -EINVAL);
}

/* ---- b03 ---- */

/* Five bytes and none, by both calls; refused, and nothing happens later. */
static void assert_sends_answer(struct fixture *fixture, struct sluice_socket *socket, int answer)
{
	struct operation operation;

	for (size_t length = 0; length <= 5; length += 5) {
		operation_init(&operation, fixture);
		cr_assert_eq(start_send(socket, &operation, "12345", length), answer);
		cr_assert_eq(operation.args.last_operation, SLUICE_OPERATION_NONE);
	}
	run_idle(fixture);
	cr_assert_eq(operation.handled, 0);
}

ENGINE_TEST(b03, b03_a_socket_never_connected_is_refused)
{
	struct sluice_socket *fresh, *listener, *unix_stream;

	fresh = attach(fixture, new_tcp(0));
	listener = attach(fixture, listen_tcp(0));
	unix_stream = attach(fixture, socket(AF_UNIX, SOCK_STREAM, 0));

	assert_sends_answer(fixture, fresh, -ENOTCONN);
	assert_sends_answer(fixture, listener, -ENOTCONN);
	assert_sends_answer(fixture, unix_stream, -ENOTCONN);
	assert_sends_answer(fixture, fresh, -ENOTCONN);

	sluice_socket_destroy(fresh);
	sluice_socket_destroy(listener);
	sluice_socket_destroy(unix_stream);
}

Test(b03, b03_after_a_refused_connect_it_is_still_not_connected)
{
	struct fixture fixture;
	struct sluice_socket *socket;
	struct operation connect;
	int listener = listen_tcp(0);
	struct sockaddr_in nobody = loopback(port_of(listener));

	close(listener);
	fixture_begin(&fixture);
	socket = attach(&fixture, new_tcp(0));
	operation_init(&connect, &fixture);

	run_connect(socket, &connect, &nobody);
	assert_ended(&connect, SLUICE_ERROR_CONNECTION_REFUSED, 0);
	assert_sends_answer(&fixture, socket, -ENOTCONN);

	sluice_socket_destroy(socket);
	fixture_end(&fixture);
}

ENGINE_TEST(b03, b03_a_datagram_socket_without_a_remote_needs_a_destination)
{
	struct sluice_socket *udp, *unix_datagram;

	udp = attach(fixture, socket(AF_INET, SOCK_DGRAM, 0));
	unix_datagram = attach(fixture, socket(AF_UNIX, SOCK_DGRAM, 0));

	assert_sends_answer(fixture, udp, -EDESTADDRREQ);
	assert_sends_answer(fixture, unix_datagram, -EDESTADDRREQ);

	sluice_socket_destroy(udp);
	sluice_socket_destroy(unix_datagram);
}

ENGINE_TEST(b03, b03_a_socket_connected_behind_the_library_s_back_is_asked_again)
{
	struct sluice_socket *socket;
	struct operation operation;
	struct sockaddr_in address;
	int listener, fd, peer;

	listener = listen_tcp(0);
	address = loopback(port_of(listener));
	fd = new_tcp(0);
	socket = attach(fixture, fd);
	operation_init(&operation, fixture);

	assert_sends_answer(fixture, socket, -ENOTCONN);
	cr_assert(connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ||
		  errno == EINPROGRESS);
	peer = accept(listener, NULL, NULL);
	cr_assert(peer >= 0);
	cr_assert_eq(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 10000), 1);
	cr_assert_eq(start_send(socket, &operation, "\0\1\2", 3), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
	read_pattern(peer, 3, 0);

	close(peer);
	close(listener);
	sluice_socket_destroy(socket);
}

/* Nothing is refused any more, whatever was done: Shutdown, with 0 bytes, empty sends too. */
static void assert_sends_end_with_shutdown(struct fixture *fixture, struct sluice_socket *socket)
{
	struct operation operation;

	for (size_t length = 0; length <= 5; length += 5) {
		operation_init(&operation, fixture);
		run_send(socket, &operation, "12345", length);
		assert_ended(&operation, SLUICE_ERROR_SHUTDOWN, 0);
		cr_assert_eq(operation.args.native_error, EPIPE);
	}
}

PAIR_TEST(b03, b03_after_the_connection_was_shut_down_sends_end_with_shutdown, tcp_pair, 0)
{
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), 0);
	assert_sends_end_with_shutdown(fixture, pair->socket);
	close(pair->peer);
	pair->peer = -1;
	run_idle(fixture);
	assert_sends_end_with_shutdown(fixture, pair->socket);
}

PAIR_TEST(b03, b03_after_a_disconnect_sends_end_with_shutdown, tcp_pair, 0)
{
	struct operation disconnect;

	operation_init(&disconnect, fixture);

	run_start(sluice_disconnect_async, pair->socket, &disconnect);
	assert_ended(&disconnect, SLUICE_ERROR_SUCCESS, 0);
	assert_sends_end_with_shutdown(fixture, pair->socket);
	assert_end_of_stream(pair->peer);
}

PAIR_TEST(b03, b03_after_a_reset_the_first_send_tells_it_and_the_next_end_with_shutdown, tcp_pair,
	  0)
{
	struct operation operation;

	operation_init(&operation, fixture);

	close_with_reset(pair->peer);
	pair->peer = -1;
	run_send(pair->socket, &operation, "12345", 5);
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_RESET, 0);
	assert_sends_end_with_shutdown(fixture, pair->socket);
}

/* ---- b04 ---- */

PAIR_TEST(b04, b04_a_closed_socket_is_refused, tcp_pair, 0)
{
	static start_fn *const starts[] = {
		sluice_send_async,       sluice_send_to_async, sluice_send_packets_async,
		sluice_receive_async,    sluice_connect_async, sluice_accept_async,
		sluice_disconnect_async,
	};
	struct operation operation;

	operation_init(&operation, fixture);
	cr_assert_eq(sluice_args_set_buffer(&operation.args, "12345", 5, 0, 5), 0);

	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		cr_assert_eq(start(starts[i], pair->socket, &operation), -EBADF);
		cr_assert_eq(starts[i](pair->socket, NULL), -EINVAL);
	}
	operation.args.flags = 0x2000;
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EBADF);
	cr_assert_eq(sluice_socket_fd(pair->socket), -EBADF);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_WR), -EBADF);
	cr_assert_eq(sluice_socket_close_gracefully(pair->socket, 0), -EBADF);
	cr_assert_eq(sluice_socket_detach(pair->socket), -EBADF);
	cr_assert_eq(sluice_cancel(pair->socket, &operation.args), -EBADF);
	cr_assert_eq(sluice_socket_cancel_all(pair->socket), -EBADF);
	cr_assert_eq(sluice_socket_queued_bytes(pair->socket), 0);
	cr_assert_eq(sluice_socket_engine(pair->socket), fixture->engine);
	assert_end_of_stream(pair->peer);
}

BLOCKED_TEST(b04, b04_closed_comes_before_in_progress, blocked_begin)
{
	struct pair closed;

	tcp_pair(fixture, &closed, 0);

	cr_assert_eq(sluice_socket_close(closed.socket), 0);
	cr_assert_eq(start(sluice_send_async, closed.socket, &blocked->head), -EBADF);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	assert_ended(&blocked->head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	pair_close(&closed);
}
