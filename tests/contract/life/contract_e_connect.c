/* SPDX-License-Identifier: MIT */
/* Connecting: well, badly, not yet; and what waits for it. */
#include "streams.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* A port of 127.0.0.1 on which nothing listens. */
static struct sockaddr_in nobody(void)
{
	int listener = listen_tcp(0);
	struct sockaddr_in address = loopback(port_of(listener));

	close(listener);
	return address;
}

/* A listener whose queue is full: further connects wait until one is accepted. */
struct full_listener {
	int fd;
	struct sockaddr_in address;
	int fillers[8];
	size_t filler_count;
};

static void full_listener_begin(struct full_listener *full)
{
	full->fd = listen_tcp(0);
	full->address = loopback(port_of(full->fd));
	full->filler_count = 0;
	cr_assert_eq(listen(full->fd, 0), 0);
	for (int connected = 1; connected;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		cr_assert_lt(full->filler_count, sizeof full->fillers / sizeof *full->fillers);
		full->fillers[full->filler_count++] = fd;
		cr_assert(connect(fd, (struct sockaddr *)&full->address, sizeof full->address) ==
				  0 ||
			  errno == EINPROGRESS);
		connected = poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 50);
	}
}

static void full_listener_end(struct full_listener *full)
{
	while (full->filler_count)
		close(full->fillers[--full->filler_count]);
	if (full->fd >= 0)
		close(full->fd);
}

static void connect_and_wait(struct fixture *fixture, struct sluice_socket *socket,
			     const struct sockaddr_in *address, int32_t error)
{
	struct operation connect;

	operation_init(&connect, fixture);
	run_connect(socket, &connect, address);
	assert_ended(&connect, error, 0);
}

/* A working connection to a listener, shown by a byte. */
static void assert_connects(struct fixture *fixture, struct sluice_socket *socket)
{
	int listener = listen_tcp(0), peer;
	struct sockaddr_in address = loopback(port_of(listener));
	struct operation send;

	operation_init(&send, fixture);
	connect_and_wait(fixture, socket, &address, SLUICE_ERROR_SUCCESS);
	peer = accept(listener, NULL, NULL);
	cr_assert_eq(start_send(socket, &send, "\0", 1), 0);
	read_pattern(peer, 1, 0);
	close(peer);
	close(listener);
}

ENGINE_TEST(e01, e01_connect)
{
	struct sluice_socket *socket;

	socket = attach(fixture, new_tcp(0));
	assert_connects(fixture, socket);
	sluice_socket_destroy(socket);
}

Test(e01, e01_receive_start_behind_a_connect_begins_with_the_connection)
{
	struct fixture fixture;
	struct consumer consumer;
	struct operation connect;
	struct sluice_socket *socket;
	int listener = listen_tcp(0), peer;
	struct sockaddr_in address = loopback(port_of(listener));

	fixture_begin(&fixture);
	socket = attach(&fixture, new_tcp(0));
	operation_init(&connect, &fixture);
	consumer_init(&consumer, &fixture, socket);
	cr_assert_geq(start_connect(socket, &connect, &address), 0);
	cr_assert_eq(start_consuming(&consumer), 0);
	peer = accept(listener, NULL, NULL);
	write_pattern(peer, 1000, 0);
	run_until(&fixture, consumer.bytes == 1000);
	assert_ended(&connect, SLUICE_ERROR_SUCCESS, 0);

	close(peer);
	run_until(&fixture, consumer.terminals == 1);
	assert_terminal(&consumer, SLUICE_ERROR_SUCCESS);
	sluice_socket_destroy(socket);
	fixture_end(&fixture);
	close(listener);
}

Test(e01, e01_receive_start_behind_a_connect_that_fails_ends_with_not_connected)
{
	struct fixture fixture;
	struct consumer consumer;
	struct operation connect;
	struct sluice_socket *socket;
	struct sockaddr_in address = nobody();

	fixture_begin(&fixture);
	socket = attach(&fixture, new_tcp(0));
	operation_init(&connect, &fixture);
	consumer_init(&consumer, &fixture, socket);
	if (start_connect(socket, &connect, &address) == 1) {
		cr_assert_eq(start_consuming(&consumer), 0);
		run_until(&fixture, consumer.terminals == 1);
		assert_terminal(&consumer, SLUICE_ERROR_NOT_CONNECTED);
	}
	run_until(&fixture, is_over(&connect));
	sluice_socket_destroy(socket);
	fixture_end(&fixture);
}

PAIR_TEST(e01, e01_connected_already, tcp_pair, 0)
{
	struct sluice_socket *socket;
	struct sockaddr_in address = nobody();
	struct operation connect;

	operation_init(&connect, fixture);

	/* Attached when it was connected, and connected by the library. */
	cr_assert_eq(start_connect(pair->socket, &connect, &address), -EISCONN);
	socket = attach(fixture, new_tcp(0));
	assert_connects(fixture, socket);
	cr_assert_eq(start_connect(socket, &connect, &address), -EISCONN);

	sluice_socket_destroy(socket);
}

ENGINE_TEST(e01, e01_a_refused_connect_leaves_a_socket_that_can_connect)
{
	struct sluice_socket *socket;
	struct sockaddr_in address = nobody();

	socket = attach(fixture, new_tcp(0));
	connect_and_wait(fixture, socket, &address, SLUICE_ERROR_CONNECTION_REFUSED);
	connect_and_wait(fixture, socket, &address, SLUICE_ERROR_CONNECTION_REFUSED);
	assert_connects(fixture, socket);
	sluice_socket_destroy(socket);
}

ENGINE_TEST(e01, e01_connect_needs_an_address)
{
	struct sluice_socket *socket;
	struct operation connect;

	socket = attach(fixture, new_tcp(0));
	operation_init(&connect, fixture);
	cr_assert_eq(start_connect(socket, &connect, NULL), -EINVAL);
	assert_connects(fixture, socket);
	sluice_socket_destroy(socket);
}

ENGINE_TEST(e01, e01_a_unix_path_that_is_not_there)
{
	struct sluice_socket *socket_;
	struct operation connect;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	socket_ = attach(fixture, socket(AF_UNIX, SOCK_STREAM, 0));
	operation_init(&connect, fixture);

	snprintf(address.sun_path, sizeof address.sun_path, "/tmp/sluice-no-such-%d", getpid());
	connect.args.remote_address = (const struct sockaddr *)&address;
	connect.args.remote_address_length = sizeof address;
	run_start(sluice_connect_async, socket_, &connect);
	assert_ended(&connect, SLUICE_ERROR_ADDRESS_NOT_AVAILABLE, 0);
	cr_assert_eq(connect.args.native_error, ENOENT);

	sluice_socket_destroy(socket_);
}

/* A UNIX listener whose backlog is full, and the descriptors that fill it. */
struct crowded {
	struct sockaddr_un address;
	int listener;
	int waiting[8];
	int count;
};

static void crowded_begin(struct crowded *crowded)
{
	const struct sockaddr *address = (const struct sockaddr *)&crowded->address;

	crowded->address = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* An abstract name, which needs no file. */
	snprintf(crowded->address.sun_path + 1, sizeof crowded->address.sun_path - 1,
		 "sluice-crowded-%d", getpid());
	crowded->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(crowded->listener, address, sizeof crowded->address), 0);
	cr_assert_eq(listen(crowded->listener, 0), 0);
	for (crowded->count = 0; crowded->count < 8; crowded->count++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		crowded->waiting[crowded->count] = fd;
		if (connect(fd, address, sizeof crowded->address) < 0)
			break;
	}
	cr_assert_lt(crowded->count, 8);
	cr_assert_eq(errno, EAGAIN);
}

static void crowded_end(struct crowded *crowded)
{
	for (int i = 0; i <= crowded->count; i++)
		close(crowded->waiting[i]);
	close(crowded->listener);
}

/* The bound of the close does not keep the connect from being tried again. */
ENGINE_TEST(e03, e03_a_graceful_close_waits_for_a_connect_that_finds_the_backlog_full)
{
	struct crowded crowded;
	struct sluice_socket *socket_;
	struct operation connect, send;
	int peer;

	crowded_begin(&crowded);
	socket_ = attach(fixture, socket(AF_UNIX, SOCK_STREAM, 0));
	operation_init(&connect, fixture);
	operation_init(&send, fixture);
	connect.args.remote_address = (const struct sockaddr *)&crowded.address;
	connect.args.remote_address_length = sizeof crowded.address;
	cr_assert_eq(start(sluice_connect_async, socket_, &connect), 1);
	cr_assert_eq(start_send(socket_, &send, "\0", 1), 1);
	cr_assert_eq(sluice_socket_close_gracefully(socket_, 20 * SECOND), 0);
	run_for(fixture, 5 * MILLISECOND);
	cr_assert(!is_over(&connect));

	for (int i = 0; i < crowded.count; i++)
		close(accept(crowded.listener, NULL, NULL));
	run_until(fixture, is_over(&send));
	assert_ended(&connect, SLUICE_ERROR_SUCCESS, 0);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 1);
	peer = accept(crowded.listener, NULL, NULL);
	read_pattern(peer, 1, 0);
	run_for(fixture, MILLISECOND);
	assert_end_of_stream(peer);

	close(peer);
	crowded_end(&crowded);
}

PAIR_TEST(e01, e01_a_datagram_socket_connects_again_and_again, udp_pair)
{
	struct operation send;
	struct sockaddr_in address;
	int other;

	operation_init(&send, fixture);
	other = socket(AF_INET, SOCK_DGRAM, 0);
	address = loopback(0);
	cr_assert_eq(bind(other, (struct sockaddr *)&address, sizeof address), 0);
	address = loopback(port_of(other));

	connect_and_wait(fixture, pair->socket, &address, SLUICE_ERROR_SUCCESS);
	run_send(pair->socket, &send, "\0", 1);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 1);
	read_pattern(other, 1, 0);
	assert_nothing_to_read(pair->peer);

	close(other);
}

/* ---- what waits for a connect ---- */

/* A connect that waits, with two sends and a receive behind it. */
struct waiting {
	struct sluice_socket *socket;
	struct operation connect, sends[2], receive;
	char received[4];
};

static void waiting_begin(struct fixture *fixture, struct waiting *waiting,
			  const struct sockaddr_in *address, int64_t timeout_ns)
{
	waiting->socket = attach(fixture, new_tcp(0));
	operation_init(&waiting->connect, fixture);
	operation_init(&waiting->sends[0], fixture);
	operation_init(&waiting->sends[1], fixture);
	operation_init(&waiting->receive, fixture);
	waiting->connect.args.timeout_ns = timeout_ns;
	cr_assert_eq(start_connect(waiting->socket, &waiting->connect, address), 1);
	cr_assert_eq(start_send(waiting->socket, &waiting->sends[0], "\0\1", 2), 1);
	cr_assert_eq(start_send(waiting->socket, &waiting->sends[1], "\2\3\4", 3), 1);
	cr_assert_eq(start_receive(waiting->socket, &waiting->receive, waiting->received, 4), 1);
}

static void assert_waiting_ended(struct fixture *fixture, const struct waiting *waiting,
				 int32_t connect_error, int32_t send_error)
{
	run_until(fixture, fixture->pending == 0);
	assert_ended(&waiting->connect, connect_error, 0);
	assert_ended(&waiting->sends[0], send_error, 0);
	assert_ended(&waiting->sends[1], send_error, 0);
	assert_ended(&waiting->receive, send_error, 0);
	cr_assert_lt(waiting->sends[0].turn, waiting->sends[1].turn);
}

ENGINE_TEST(e01, e01_sends_and_receives_wait_for_the_connect)
{
	struct full_listener full;
	struct waiting waiting;
	int peer;

	full_listener_begin(&full);
	waiting_begin(fixture, &waiting, &full.address, 0);
	run_idle(fixture);
	cr_assert_eq(fixture->pending, 4);

	/* Room for it; the kernel knocks again within a few seconds. */
	cr_assert_eq(listen(full.fd, 10), 0);
	run_until(fixture, is_over(&waiting.connect));
	assert_ended(&waiting.connect, SLUICE_ERROR_SUCCESS, 0);
	run_until(fixture, are_over(waiting.sends, 2));
	assert_ended(&waiting.sends[0], SLUICE_ERROR_SUCCESS, 2);
	assert_ended(&waiting.sends[1], SLUICE_ERROR_SUCCESS, 3);
	do {
		struct sockaddr_in from;
		socklen_t length = sizeof from;

		peer = accept(full.fd, (struct sockaddr *)&from, &length);
		cr_assert(peer >= 0);
		if (ntohs(from.sin_port) == port_of(sluice_socket_fd(waiting.socket)))
			break;
		close(peer);
	} while (true);
	read_pattern(peer, 5, 0);
	write_pattern(peer, 4, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&waiting.receive, SLUICE_ERROR_SUCCESS, 4);
	cr_assert(pattern_matches(waiting.received, 4, 0));

	close(peer);
	sluice_socket_destroy(waiting.socket);
	full_listener_end(&full);
}

ENGINE_TEST(e01, e01_what_waits_for_a_connect_that_fails_is_not_connected)
{
	struct waiting waiting;
	struct sockaddr_in address = nobody();

	waiting_begin(fixture, &waiting, &address, 0);
	assert_waiting_ended(fixture, &waiting, SLUICE_ERROR_CONNECTION_REFUSED,
			     SLUICE_ERROR_NOT_CONNECTED);
	cr_assert_lt(waiting.connect.turn, waiting.sends[0].turn);
	assert_connects(fixture, waiting.socket);
	sluice_socket_destroy(waiting.socket);
}

ENGINE_TEST(e01, e01_a_cancelled_connect_is_undone)
{
	struct full_listener full;
	struct waiting waiting;

	full_listener_begin(&full);
	waiting_begin(fixture, &waiting, &full.address, 0);
	run_idle(fixture);
	cr_assert_eq(sluice_cancel(waiting.socket, &waiting.connect.args), 0);
	assert_waiting_ended(fixture, &waiting, SLUICE_ERROR_OPERATION_ABORTED,
			     SLUICE_ERROR_NOT_CONNECTED);
	cr_assert_eq(start_send(waiting.socket, &waiting.sends[0], "x", 1), -ENOTCONN);
	assert_connects(fixture, waiting.socket);
	sluice_socket_destroy(waiting.socket);
	full_listener_end(&full);
}

ENGINE_TEST(e01, e01_an_overdue_connect_is_undone)
{
	struct full_listener full;
	struct waiting waiting;
	int64_t begin = now_ns();

	full_listener_begin(&full);
	waiting_begin(fixture, &waiting, &full.address, 50 * MILLISECOND);
	assert_waiting_ended(fixture, &waiting, SLUICE_ERROR_TIMED_OUT, SLUICE_ERROR_NOT_CONNECTED);
	cr_assert_geq(now_ns() - begin, 50 * MILLISECOND);
	assert_connects(fixture, waiting.socket);
	sluice_socket_destroy(waiting.socket);
	full_listener_end(&full);
}

ENGINE_TEST(e01, e01_a_second_connect_meanwhile_is_already_in_progress)
{
	struct full_listener full;
	struct waiting waiting;
	struct operation second;

	full_listener_begin(&full);
	waiting_begin(fixture, &waiting, &full.address, 0);
	operation_init(&second, fixture);
	run_connect(waiting.socket, &second, &full.address);
	assert_ended(&second, SLUICE_ERROR_ALREADY_IN_PROGRESS, 0);
	cr_assert_eq(fixture->pending, 4);

	cr_assert_eq(sluice_socket_close(waiting.socket), 0);
	assert_waiting_ended(fixture, &waiting, SLUICE_ERROR_OPERATION_ABORTED,
			     SLUICE_ERROR_OPERATION_ABORTED);
	sluice_socket_destroy(waiting.socket);
	full_listener_end(&full);
}

ENGINE_TEST(e01, e01_a_send_that_is_cancelled_while_it_waits_for_the_connect_ends_alone)
{
	struct full_listener full;
	struct waiting waiting;

	full_listener_begin(&full);
	waiting_begin(fixture, &waiting, &full.address, 0);
	cr_assert_eq(sluice_cancel(waiting.socket, &waiting.sends[0].args), 0);
	run_until(fixture, is_over(&waiting.sends[0]));
	assert_ended(&waiting.sends[0], SLUICE_ERROR_OPERATION_ABORTED, 0);
	cr_assert_eq(fixture->pending, 3);
	cr_assert_eq(sluice_socket_cancel_all(waiting.socket), 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&waiting.connect, SLUICE_ERROR_OPERATION_ABORTED, 0);
	sluice_socket_destroy(waiting.socket);
	full_listener_end(&full);
}

/* ---- accept ---- */

#define ACCEPTS 5

/* Each accepted its own connection, on the listener's engine, and can send. */
static void assert_accepted(struct fixture *fixture, struct operation *accepts, const int *clients)
{
	struct operation send;
	int received = 0;

	operation_init(&send, fixture);
	for (int i = 0; i < ACCEPTS; i++) {
		struct sluice_socket *accepted = accepts[i].args.accept_socket;

		assert_ended(&accepts[i], SLUICE_ERROR_SUCCESS, 0);
		cr_assert(accepted);
		for (int j = 0; j < i; j++)
			cr_assert_neq(accepted, accepts[j].args.accept_socket);
		cr_assert_eq(sluice_socket_engine(accepted), fixture->engine);
		cr_assert_eq(start_send(accepted, &send, "\0", 1), 0);
	}
	for (int i = 0; i < ACCEPTS; i++) {
		read_pattern(clients[i], 1, 0);
		received++;
		close(clients[i]);
		sluice_socket_destroy(accepts[i].args.accept_socket);
	}
	cr_assert_eq(received, ACCEPTS);
}

static void connect_clients(int *clients, const struct sockaddr_in *address)
{
	for (int i = 0; i < ACCEPTS; i++) {
		clients[i] = new_tcp(0);
		cr_assert_eq(connect(clients[i], (const struct sockaddr *)address, sizeof *address),
			     0);
	}
}

static void accept_five(bool connect_first)
{
	struct fixture fixture;
	struct sluice_socket *listener;
	struct sockaddr_in address;
	struct operation *accepts;
	int clients[ACCEPTS];

	fixture_begin(&fixture);
	listener = attach(&fixture, listen_tcp(0));
	address = loopback(port_of(sluice_socket_fd(listener)));
	accepts = operations_new(&fixture, ACCEPTS);

	if (connect_first)
		connect_clients(clients, &address);
	for (int i = 0; i < ACCEPTS; i++) {
		int answer = start(sluice_accept_async, listener, &accepts[i]);

		cr_assert(answer == 1 || (answer == 0 && connect_first));
	}
	if (!connect_first) {
		run_idle(&fixture);
		cr_assert_eq(fixture.pending, ACCEPTS);
		connect_clients(clients, &address);
	}
	run_until(&fixture, fixture.pending == 0);
	assert_accepted(&fixture, accepts, clients);

	sluice_socket_destroy(listener);
	free(accepts);
	fixture_end(&fixture);
}

Test(e01, e01_five_accepts_before_the_connects)
{
	accept_five(false);
}

Test(e01, e01_five_accepts_after_the_connects)
{
	accept_five(true);
}

PAIR_TEST(e01, e01_accept_on_what_does_not_listen, tcp_pair, 0)
{
	struct sluice_socket *fresh, *datagram;
	struct operation accept;

	fresh = attach(fixture, new_tcp(0));
	datagram = attach(fixture, socket(AF_INET, SOCK_DGRAM, 0));
	operation_init(&accept, fixture);

	cr_assert_eq(start(sluice_accept_async, fresh, &accept), -EINVAL);
	cr_assert_eq(start(sluice_accept_async, datagram, &accept), -EINVAL);
	cr_assert_eq(start(sluice_accept_async, pair->socket, &accept), -EINVAL);

	sluice_socket_destroy(fresh);
	sluice_socket_destroy(datagram);
}

ENGINE_TEST(e01, e01_accepts_that_are_given_up_make_no_socket)
{
	struct sluice_socket *listener;
	struct operation *accepts;

	listener = attach(fixture, listen_tcp(0));
	accepts = operations_new(fixture, 3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(start(sluice_accept_async, listener, &accepts[i]), 1);
	cr_assert_eq(sluice_cancel(listener, &accepts[1].args), 0);
	run_until(fixture, is_over(&accepts[1]));
	cr_assert_eq(fixture->pending, 2);
	cr_assert_eq(sluice_socket_close(listener), 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < 3; i++) {
		assert_ended(&accepts[i], SLUICE_ERROR_OPERATION_ABORTED, 0);
		cr_assert_null(accepts[i].args.accept_socket);
	}
	sluice_socket_destroy(listener);
	free(accepts);
}
