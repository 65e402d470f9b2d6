/* SPDX-License-Identifier: MIT */
/* s06: an engine inside a libuv loop, which polls its descriptor and calls run(0), nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "support.h"

#define ROUNDS 300
#define CLIENTS 4

/* A server that echoes, all of it in the library's handlers. */
struct server {
	struct fixture fixture;
	struct sluice_socket *listener;
	uv_loop_t loop;
	uv_poll_t poll;
	uv_timer_t guard;
	int clients; /* that have come */
	int ended;
	bool timed_out;
};

struct echo {
	struct operation receiving, sending;
	struct server *server;
	struct sluice_socket *socket;
	char bytes[64];
};

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct server *server = handle->data;

	cr_assert_eq(status, 0);
	cr_assert(sluice_engine_run(server->fixture.engine, 0) >= 0);
}

static void on_guard(uv_timer_t *handle)
{
	struct server *server = handle->data;

	server->timed_out = true;
	uv_stop(&server->loop);
}

static void echo_end(struct echo *echo)
{
	sluice_socket_destroy(echo->socket);
	if (++echo->server->ended == CLIENTS)
		uv_stop(&echo->server->loop);
	free(echo);
}

static void echo_receive(struct echo *echo);

static void echo_sent(struct operation *operation)
{
	cr_assert_eq(operation->args.error, SLUICE_ERROR_SUCCESS);
	echo_receive(operation->token);
}

static void echo_received(struct operation *operation)
{
	struct echo *echo = operation->token;

	cr_assert_eq(operation->args.error, SLUICE_ERROR_SUCCESS);
	if (operation->args.bytes_transferred == 0)
		echo_end(echo);
	else
		cr_assert_eq(start_send(echo->socket, &echo->sending, echo->bytes,
					operation->args.bytes_transferred),
			     1, "in a handler it is queued");
}

static void echo_receive(struct echo *echo)
{
	int answer = start_receive(echo->socket, &echo->receiving, echo->bytes, sizeof echo->bytes);

	cr_assert(answer >= 0);
	if (answer == 0)
		echo_received(&echo->receiving);
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct server *server = token;
	struct echo *echo;

	if (!accepted->socket)
		return;
	echo = calloc(1, sizeof *echo);
	operation_init(&echo->receiving, &server->fixture);
	operation_init(&echo->sending, &server->fixture);
	echo->receiving.then = echo_received;
	echo->sending.then = echo_sent;
	echo->receiving.token = echo->sending.token = echo;
	echo->server = server;
	echo->socket = accepted->socket;
	server->clients++;
	echo_receive(echo);
}

static void server_begin(struct server *server)
{
	struct sluice_accept_options accepting = {
		.size = sizeof accepting, .on_accepted = on_accepted, .token = server};

	memset(server, 0, sizeof *server);
	/* What libuv keeps for the whole process it keeps from its first loop on. */
	cr_assert_eq(uv_loop_init(&server->loop), 0);
	cr_assert_eq(uv_loop_close(&server->loop), 0);
	fixture_begin(&server->fixture);
	server->listener = attach(&server->fixture, listen_tcp(0));
	cr_assert_eq(sluice_accept_start(server->listener, &accepting), 0);
	cr_assert_eq(uv_loop_init(&server->loop), 0);
	cr_assert_eq(uv_poll_init(&server->loop, &server->poll,
				  sluice_engine_fd(server->fixture.engine)),
		     0);
	server->poll.data = server;
	cr_assert_eq(uv_poll_start(&server->poll, UV_READABLE, on_readable), 0);
	uv_timer_init(&server->loop, &server->guard);
	server->guard.data = server;
	uv_timer_start(&server->guard, on_guard, GUARD_NS / MILLISECOND, 0);
}

static void server_end(struct server *server)
{
	uv_close((uv_handle_t *)&server->poll, NULL);
	uv_close((uv_handle_t *)&server->guard, NULL);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&server->loop), 0);
	sluice_socket_destroy(server->listener);
	fixture_end(&server->fixture);
}

struct client {
	pthread_t thread;
	uint16_t port;
	int rounds; /* that came back right */
};

static void *client_main(void *token)
{
	struct client *client = token;
	struct sockaddr_in address = loopback(client->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char bytes[4];

	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		while (client->rounds < ROUNDS && send(fd, "ping", 4, MSG_NOSIGNAL) == 4 &&
		       recv(fd, bytes, 4, MSG_WAITALL) == 4 && memcmp(bytes, "ping", 4) == 0)
			client->rounds++;
	close(fd);
	return NULL;
}

Test(s06, s06_an_echo_server_runs_in_libuvs_loop)
{
	struct server server;
	struct client clients[CLIENTS];

	server_begin(&server);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){.port = port_of(sluice_socket_fd(server.listener))};
		cr_assert_eq(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
	}
	uv_run(&server.loop, UV_RUN_DEFAULT);
	cr_assert_not(server.timed_out, "%d of %d clients have come, %d have ended", server.clients,
		      CLIENTS, server.ended);
	for (int i = 0; i < CLIENTS; i++) {
		cr_assert_eq(pthread_join(clients[i].thread, NULL), 0);
		cr_assert_eq(clients[i].rounds, ROUNDS);
	}
	server_end(&server);
}

static void stop_loop(struct sluice_engine *engine, void *token)
{
	uv_stop(token);
}

struct poster {
	struct sluice_engine *engine;
	uv_loop_t *loop;
};

static void *post_later(void *token)
{
	struct poster *poster = token;

	usleep(30000);
	return (void *)(intptr_t)sluice_post(poster->engine, stop_loop, poster->loop);
}

Test(s06, s06_libuvs_loop_is_woken_for_the_mailbox)
{
	struct server server;
	struct poster poster;
	pthread_t thread;

	server_begin(&server);
	poster = (struct poster){server.fixture.engine, &server.loop};
	cr_assert_eq(pthread_create(&thread, NULL, post_later, &poster), 0);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_not(server.timed_out);
	server_end(&server);
}

static uv_loop_t *loop_to_stop;

static void stop_loop_by_timer(struct sluice_engine *engine, struct sluice_timer *timer)
{
	uv_stop(loop_to_stop);
}

Test(s06, s06_libuvs_loop_is_woken_for_a_timer)
{
	struct sluice_timer timer = {.expired = stop_loop_by_timer};
	struct server server;
	int64_t began;

	server_begin(&server);
	loop_to_stop = &server.loop;
	began = now_ns();
	cr_assert_eq(sluice_timer_start(server.fixture.engine, &timer, 50 * MILLISECOND), 0);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	cr_assert_not(server.timed_out);
	cr_assert_geq(now_ns() - began, 50 * MILLISECOND);
	server_end(&server);
}
