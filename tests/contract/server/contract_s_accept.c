/* SPDX-License-Identifier: MIT */
/* s01, s03: accept_start delivers every connection until accept_stop; e10: also out of descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "measure.h"

#define CLIENTS_MAX 400

/* What a listener delivered. */
struct acceptor {
	struct fixture *fixture;
	struct sluice_socket *listener;
	uint16_t port; /* to connect to */
	struct sluice_socket *sockets[CLIENTS_MAX];
	int count;
	int exhausted; /* calls that said TooManyOpenSockets */
	bool accepts;  /* it was started, and no terminal call came */
	int terminals;
	int32_t error; /* of the terminal call */
	void (*then)(struct acceptor *acceptor, const struct sluice_accepted *accepted);
};

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct acceptor *acceptor = token;

	cr_assert_eq(listener, acceptor->listener);
	cr_assert_eq(accepted->size, sizeof *accepted);
	cr_assert_eq(acceptor->fixture->inside_call, 0, "an event inside a call");
	cr_assert_eq(acceptor->terminals, 0, "a call after the terminal one");
	if (accepted->socket) {
		cr_assert_eq(accepted->error, SLUICE_ERROR_SUCCESS);
		cr_assert_eq(accepted->terminal, 0);
		cr_assert_lt(acceptor->count, CLIENTS_MAX);
		acceptor->sockets[acceptor->count++] = accepted->socket;
	} else if (accepted->terminal) {
		acceptor->accepts = false;
		acceptor->terminals++;
		acceptor->error = accepted->error;
	} else {
		cr_assert_eq(accepted->error, SLUICE_ERROR_TOO_MANY_OPEN_SOCKETS);
		cr_assert_eq(accepted->native_error, EMFILE);
		acceptor->exhausted++;
	}
	if (acceptor->then)
		acceptor->then(acceptor, accepted);
}

static int start_accepting(struct acceptor *acceptor)
{
	struct sluice_accept_options options = {
		.size = sizeof options,
		.on_accepted = on_accepted,
		.token = acceptor,
	};
	int answer;

	acceptor->terminals = 0;
	acceptor->fixture->inside_call++;
	answer = sluice_accept_start(acceptor->listener, &options);
	acceptor->fixture->inside_call--;
	acceptor->accepts |= answer == 0;
	return answer;
}

static void acceptor_init(struct acceptor *acceptor, struct fixture *fixture, int fd)
{
	memset(acceptor, 0, sizeof *acceptor);
	acceptor->fixture = fixture;
	acceptor->listener = attach(fixture, fd);
}

static void acceptor_begin(struct fixture *fixture, struct acceptor *acceptor)
{
	int fd = listen_tcp(0);

	acceptor_init(acceptor, fixture, fd);
	acceptor->port = port_of(fd);
}

static int stop_accepting(struct acceptor *acceptor)
{
	int answer;

	acceptor->fixture->inside_call++;
	answer = sluice_accept_stop(acceptor->listener);
	acceptor->fixture->inside_call--;
	return answer;
}

static void destroy_accepted(struct acceptor *acceptor)
{
	while (acceptor->count > 0)
		sluice_socket_destroy(acceptor->sockets[--acceptor->count]);
}

/* Stops, and asserts the one terminal call, unless it came already; destroys all sockets. */
static void acceptor_end(struct acceptor *acceptor)
{
	int terminals = acceptor->accepts ? 1 : acceptor->terminals;

	if (acceptor->accepts) {
		cr_assert_eq(stop_accepting(acceptor), 0);
		run_until(acceptor->fixture, acceptor->terminals > 0);
		cr_assert_eq(acceptor->error, SLUICE_ERROR_OPERATION_ABORTED);
	}
	destroy_accepted(acceptor);
	sluice_socket_destroy(acceptor->listener);
	acceptor->listener = NULL;
	run_idle(acceptor->fixture);
	cr_assert_eq(acceptor->terminals, terminals);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = new_tcp(0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0, "%s",
		     strerror(errno));
	return fd;
}

static uint16_t peer_port(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	cr_assert_eq(getpeername(fd, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

/* Every client has met exactly one of the sockets. */
static void assert_each_once(const int *clients, int client_count, struct acceptor *acceptor)
{
	static unsigned char seen[65536];

	memset(seen, 0, sizeof seen);
	cr_assert_eq(acceptor->count, client_count);
	for (int i = 0; i < acceptor->count; i++)
		seen[peer_port(sluice_socket_fd(acceptor->sockets[i]))]++;
	for (int i = 0; i < client_count; i++)
		cr_assert_eq(seen[port_of(clients[i])], 1);
}

static void close_all(int *fds, int count)
{
	while (count-- > 0)
		close(fds[count]);
}

/* ---- s01 ---- */

/* The body has an `acceptor` on a listener of its own; nothing has been started. */
#define ACCEPT_TEST(row, name)                                                \
	SUBJECT_TEST(row, name, acceptor, acceptor_begin(fixture, &acceptor), \
		     acceptor_end(&acceptor))

ACCEPT_TEST(s01, s01_every_connection_is_delivered_before_and_after_the_start)
{
	enum {
		BEFORE = 100,
		AFTER = 250
	};
	int clients[BEFORE + AFTER];

	for (int i = 0; i < BEFORE; i++)
		clients[i] = connect_to(acceptor->port);
	cr_assert_eq(start_accepting(acceptor), 0);
	run_until(fixture, acceptor->count == BEFORE);
	for (int i = BEFORE; i < BEFORE + AFTER; i++) {
		clients[i] = connect_to(acceptor->port);
		if (i % 7 == 0)
			cr_assert(sluice_engine_run(fixture->engine, 0) >= 0);
	}
	run_until(fixture, acceptor->count == BEFORE + AFTER);
	run_idle(fixture);
	assert_each_once(clients, BEFORE + AFTER, acceptor);
	close_all(clients, BEFORE + AFTER);
}

ACCEPT_TEST(s01, s01_an_accepted_socket_belongs_to_the_listeners_engine)
{
	int client, fd;

	cr_assert_eq(start_accepting(acceptor), 0);
	client = connect_to(acceptor->port);
	run_until(fixture, acceptor->count == 1);
	cr_assert_eq(sluice_socket_engine(acceptor->sockets[0]), fixture->engine);
	fd = sluice_socket_fd(acceptor->sockets[0]);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC, "an accepted descriptor survives exec");
	acceptor_end(acceptor);
	assert_end_of_stream(client);
	close(client);
}

static struct operation greeting;

static void greet(struct acceptor *acceptor, const struct sluice_accepted *accepted)
{
	if (accepted->socket)
		cr_assert_eq(start_send(accepted->socket, &greeting, "hello", 5), 1);
}

ACCEPT_TEST(s01, s01_an_accepted_socket_may_be_used_in_its_event)
{
	char bytes[5];
	int client;

	operation_init(&greeting, fixture);
	acceptor->then = greet;
	cr_assert_eq(start_accepting(acceptor), 0);
	client = connect_to(acceptor->port);
	run_until(fixture, greeting.handled == 1);
	read_exactly(client, bytes, 5);
	cr_assert_arr_eq(bytes, "hello", 5);
	close(client);
}

static void refuse(struct acceptor *acceptor, const struct sluice_accepted *accepted)
{
	if (accepted->socket)
		sluice_socket_destroy(acceptor->sockets[--acceptor->count]);
}

ACCEPT_TEST(s01, s01_an_accepted_socket_may_be_destroyed_in_its_event)
{
	acceptor->then = refuse;
	cr_assert_eq(start_accepting(acceptor), 0);
	for (int i = 0; i < 20; i++) {
		int client = connect_to(acceptor->port);
		struct sluice_engine_statistics statistics = {.size = sizeof statistics};

		do {
			run_turn(fixture, now_ns() + GUARD_NS, "an accepted connection");
			sluice_engine_statistics(fixture->engine, &statistics);
		} while (statistics.accepted < (uint64_t)i + 1);
		assert_end_of_stream(client);
		close(client);
	}
}

Test(s01, s01_unix_listeners_are_accepted_from_too)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct fixture fixture;
	struct acceptor acceptor;
	int client, fd;

	fixture_begin(&fixture);
	/* An abstract name leaves no file. */
	snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "sluice-test-%d", getpid());
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(listen(fd, 10), 0);
	acceptor_init(&acceptor, &fixture, fd);
	cr_assert_eq(start_accepting(&acceptor), 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	run_until(&fixture, acceptor.count == 1);
	acceptor_end(&acceptor);
	close(client);
	fixture_end(&fixture);
}

ACCEPT_TEST(s01, s01_accept_start_refuses_what_it_cannot_do)
{
	struct acceptor other;
	struct sluice_accept_options bad = {0};
	struct operation pending;
	struct pair pair;

	cr_assert_eq(sluice_accept_start(acceptor->listener, NULL), -EINVAL);
	cr_assert_eq(sluice_accept_start(acceptor->listener, &bad), -EINVAL);
	bad.size = sizeof bad;
	cr_assert_eq(sluice_accept_start(acceptor->listener, &bad), -EINVAL);
	bad.on_accepted = on_accepted;
	cr_assert_eq(sluice_accept_start(NULL, &bad), -EINVAL);
	cr_assert_eq(stop_accepting(acceptor), -ENOENT);

	operation_init(&pending, fixture);
	cr_assert_eq(start(sluice_accept_async, acceptor->listener, &pending), 1);
	cr_assert_eq(start_accepting(acceptor), -EBUSY);
	cr_assert_eq(sluice_cancel(acceptor->listener, &pending.args), 0);
	run_until(fixture, is_over(&pending));
	cr_assert_eq(start_accepting(acceptor), 0);
	cr_assert_eq(start_accepting(acceptor), -EBUSY);

	acceptor_init(&other, fixture, new_tcp(0));
	cr_assert_eq(start_accepting(&other), -EINVAL);
	sluice_socket_close(other.listener);
	cr_assert_eq(start_accepting(&other), -EBADF);
	cr_assert_eq(stop_accepting(&other), -EBADF);
	sluice_socket_destroy(other.listener);
	tcp_pair(fixture, &pair, 0);
	other.listener = pair.socket;
	cr_assert_eq(start_accepting(&other), -EINVAL);
	pair_close(&pair);
}

/* ---- s03 ---- */

/* Connections that are not accepted yet. */
static int accept_the_rest(struct acceptor *acceptor)
{
	int fd, count = 0;

	while ((fd = accept4(sluice_socket_fd(acceptor->listener), NULL, NULL, SOCK_CLOEXEC)) >=
	       0) {
		close(fd);
		count++;
	}
	cr_assert_eq(errno, EAGAIN);
	return count;
}

/* Those that the kernel has but the library has not accepted wait for the next accept. */
ACCEPT_TEST(s03, s03_accept_stop_loses_no_connection)
{
	enum {
		ROUNDS = 20,
		CLIENTS = 30
	};
	int clients[CLIENTS];

	for (int round = 0; round < ROUNDS; round++) {
		cr_assert_eq(start_accepting(acceptor), 0);
		for (int i = 0; i < CLIENTS; i++) {
			clients[i] = connect_to(acceptor->port);
			if (i == round)
				cr_assert(sluice_engine_run(fixture->engine, 0) >= 0);
		}
		if (round % 2)
			cr_assert_eq(sluice_engine_flush(fixture->engine), 0);
		cr_assert_eq(stop_accepting(acceptor), 0);
		run_until(fixture, acceptor->terminals > 0);
		cr_assert_eq(acceptor->error, SLUICE_ERROR_OPERATION_ABORTED);
		cr_assert_eq(acceptor->count + accept_the_rest(acceptor), CLIENTS);
		destroy_accepted(acceptor);
		close_all(clients, CLIENTS);
	}
	cr_assert_eq(stop_accepting(acceptor), -ENOENT);
}

static void stop_at_the_first(struct acceptor *acceptor, const struct sluice_accepted *accepted)
{
	if (accepted->socket && acceptor->count == 1)
		cr_assert_eq(stop_accepting(acceptor), 0);
}

ACCEPT_TEST(s03, s03_accept_stop_in_an_event_delivers_what_was_taken_and_ends)
{
	enum {
		CLIENTS = 20
	};
	int clients[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(acceptor->port);
	acceptor->then = stop_at_the_first;
	cr_assert_eq(start_accepting(acceptor), 0);
	run_until(fixture, acceptor->terminals > 0);
	cr_assert_eq(acceptor->error, SLUICE_ERROR_OPERATION_ABORTED);
	cr_assert_eq(acceptor->count + accept_the_rest(acceptor), CLIENTS);
	run_idle(fixture);
	cr_assert_eq(acceptor->terminals, 1);
	close_all(clients, CLIENTS);
}

static void start_again(struct acceptor *acceptor, const struct sluice_accepted *accepted)
{
	if (!accepted->terminal)
		return;
	acceptor->then = NULL;
	cr_assert_eq(start_accepting(acceptor), 0);
}

ACCEPT_TEST(s03, s03_accept_start_again_in_the_terminal_call)
{
	int client;

	acceptor->then = start_again;
	cr_assert_eq(start_accepting(acceptor), 0);
	cr_assert_eq(stop_accepting(acceptor), 0);
	run_until(fixture, !acceptor->then);
	client = connect_to(acceptor->port);
	run_until(fixture, acceptor->count == 1);
	close(client);
}

ACCEPT_TEST(s03, s03_closing_the_listener_ends_with_one_terminal_call)
{
	int client;

	cr_assert_eq(start_accepting(acceptor), 0);
	client = connect_to(acceptor->port);
	run_until(fixture, acceptor->count == 1);
	fixture->inside_call++;
	cr_assert_eq(sluice_socket_close(acceptor->listener), 0);
	fixture->inside_call--;
	run_until(fixture, acceptor->terminals > 0);
	cr_assert_eq(acceptor->error, SLUICE_ERROR_OPERATION_ABORTED);
	run_idle(fixture);
	cr_assert_eq(acceptor->terminals, 1);
	close(client);
}

static void destroy_listener(struct acceptor *acceptor, const struct sluice_accepted *accepted)
{
	if (accepted->socket && acceptor->count == 1)
		sluice_socket_destroy(acceptor->listener);
}

ACCEPT_TEST(s03, s03_destroying_the_listener_in_an_event_ends_with_one_terminal_call)
{
	int clients[3] = {connect_to(acceptor->port), connect_to(acceptor->port),
			  connect_to(acceptor->port)};

	acceptor->then = destroy_listener;
	cr_assert_eq(start_accepting(acceptor), 0);
	run_until(fixture, acceptor->terminals > 0);
	cr_assert_eq(acceptor->error, SLUICE_ERROR_OPERATION_ABORTED);
	run_idle(fixture);
	acceptor->listener = NULL;
	close_all(clients, 3);
}

Test(s03, s03_destroying_the_engine_makes_the_terminal_call)
{
	struct fixture fixture;
	struct acceptor acceptor;
	int client;

	fixture_begin(&fixture);
	acceptor_begin(&fixture, &acceptor);
	cr_assert_eq(start_accepting(&acceptor), 0);
	client = connect_to(acceptor.port);
	run_until(&fixture, acceptor.count == 1);
	cr_assert_eq(sluice_engine_destroy(fixture.engine), 0);
	fixture.engine = NULL;
	cr_assert_eq(acceptor.terminals, 1);
	cr_assert_eq(acceptor.error, SLUICE_ERROR_OPERATION_ABORTED);
	close(client);
	fixture_end(&fixture);
}

/* ---- e10: out of descriptors ---- */

ACCEPT_TEST(e10, e10_out_of_descriptors_is_reported_once_and_costs_at_most_20_turns_a_second)
{
	enum {
		CLIENTS = 5
	};
	int clients[CLIENTS];
	uint64_t turns;
	struct hoard hoard;

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(acceptor->port);
	hoard_begin(&hoard, HOARD_MAX);
	cr_assert_eq(start_accepting(acceptor), 0);
	run_until(fixture, acceptor->exhausted > 0);
	turns = turns_in(fixture, SECOND);
	cr_assert_leq(turns, 20, "%llu turns in a second of exhaustion", (unsigned long long)turns);
	cr_assert_eq(acceptor->exhausted, 1, "reported %d times", acceptor->exhausted);
	cr_assert_eq(acceptor->count, 0);

	/* Not by this engine: it tries again after 100 ms. */
	hoard_release(&hoard, CLIENTS + 3);
	run_until(fixture, acceptor->count == CLIENTS);
	assert_each_once(clients, CLIENTS, acceptor);
	hoard_end(&hoard);
	close_all(clients, CLIENTS);
}

/* EMFILE ends a multishot accept on the ring even if no connection arrives. */
ACCEPT_TEST(e10, e10_out_of_descriptors_with_nobody_waiting_does_not_spin)
{
	struct hoard hoard;
	int client;
	uint64_t turns;

	hoard_begin(&hoard, HOARD_MAX);
	cr_assert_eq(start_accepting(acceptor), 0);
	turns = turns_in(fixture, SECOND);
	cr_assert_leq(turns, 20, "%llu turns in a second of exhaustion", (unsigned long long)turns);
	cr_assert_leq(acceptor->exhausted, 1);
	hoard_end(&hoard);
	client = connect_to(acceptor->port);
	run_until(fixture, acceptor->count == 1);
	close(client);
}

/* At once, not after 100 ms: the best of some attempts decides. */
ACCEPT_TEST(e10, e10_a_descriptor_that_the_engine_frees_lets_the_listener_go_on)
{
	enum {
		ATTEMPTS = 5
	};
	int clients[ATTEMPTS], peers[ATTEMPTS];
	struct sluice_socket *sockets[ATTEMPTS];
	struct hoard hoard;
	int64_t best = INT64_MAX;

	for (int i = 0; i < ATTEMPTS; i++) {
		struct pair pair;

		clients[i] = connect_to(acceptor->port);
		tcp_pair(fixture, &pair, 0);
		sockets[i] = pair.socket;
		peers[i] = pair.peer;
	}
	hoard_begin(&hoard, HOARD_MAX);
	cr_assert_eq(start_accepting(acceptor), 0);
	run_until(fixture, acceptor->exhausted > 0);
	for (int i = 0; i < ATTEMPTS; i++) {
		int64_t began = now_ns(), took;

		sluice_socket_destroy(sockets[i]);
		run_until(fixture, acceptor->count == i + 1);
		took = now_ns() - began;
		best = took < best ? took : best;
	}
	cr_assert_lt(best, 50 * MILLISECOND, "the listener waited %lld ms",
		     (long long)(best / MILLISECOND));
	hoard_end(&hoard);
	close_all(clients, ATTEMPTS);
	close_all(peers, ATTEMPTS);
}

ACCEPT_TEST(e10, e10_accept_async_out_of_descriptors_completes_and_the_listener_goes_on)
{
	struct operation operation;
	struct hoard hoard;
	int client = connect_to(acceptor->port);

	operation_init(&operation, fixture);
	hoard_begin(&hoard, HOARD_MAX);
	cr_assert(start(sluice_accept_async, acceptor->listener, &operation) >= 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_TOO_MANY_OPEN_SOCKETS, 0);
	cr_assert_eq(operation.args.native_error, EMFILE);
	cr_assert_null(operation.args.accept_socket);
	hoard_end(&hoard);
	cr_assert(start(sluice_accept_async, acceptor->listener, &operation) >= 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_eq(peer_port(sluice_socket_fd(operation.args.accept_socket)), port_of(client));
	sluice_socket_destroy(operation.args.accept_socket);
	close(client);
}
