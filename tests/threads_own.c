/* SPDX-License-Identifier: MIT */
/* An engine on a thread of its own. */
#include "threads_support.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sluice_engine *started_engine(void)
{
	struct sluice_engine *engine = engine_new();

	check(sluice_engine_start(engine) == 0);
	return engine;
}

/* A record that another thread waits for. */
struct waited {
	struct sluice_args args;
	sem_t ended;
	pthread_t thread; /* that the handler ran in */
	unsigned handled;
};

static void waited_end(struct sluice_socket *socket, struct sluice_args *args)
{
	struct waited *waited = (struct waited *)args;

	waited->thread = pthread_self();
	waited->handled++;
	sem_post(&waited->ended);
}

static void waited_init(struct waited *waited)
{
	memset(waited, 0, sizeof *waited);
	check(sluice_args_init(&waited->args) == 0);
	waited->args.completed = waited_end;
	sem_init(&waited->ended, 0, 0);
}

/* ---- sends ---- */

static void e08_handlers_run_in_the_engine_s_thread(void)
{
	struct sluice_engine *engine = started_engine();
	struct sluice_socket *socket;
	struct waited waited;
	char bytes[5];
	int fds[2];

	tcp_descriptors(0, fds);
	socket = attach(engine, fds[0]);
	waited_init(&waited);
	for (unsigned round = 1; round <= 100; round++) {
		check(sluice_args_set_buffer(&waited.args, "12345", 5, 0, 5) == 0);
		check(sluice_send_async(socket, &waited.args) == 1);
		wait_for(&waited.ended);
		check(waited.handled == round);
		check(!pthread_equal(waited.thread, pthread_self()));
		check(waited.args.error == SLUICE_ERROR_SUCCESS);
		check(waited.args.bytes_transferred == 5);
		check(read_whole(fds[1], bytes, 5));
	}
	check(sluice_engine_stop(engine) == 0);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
}

#define SENDERS 3
#define SENDS 300

struct client {
	struct sluice_engine *engine;
	size_t length;
};

/* Its own socket; waits for each end, as a program with blocking threads does. */
static void *send_and_wait(void *token)
{
	struct client *client = token;
	struct sluice_socket *socket;
	unsigned char *bytes = malloc(client->length), *received = malloc(client->length);
	struct waited waited;
	int fds[2];

	tcp_descriptors(0, fds);
	socket = attach(client->engine, fds[0]);
	waited_init(&waited);
	for (int i = 0; i < SENDS; i++) {
		memset(bytes, i, client->length);
		check(sluice_args_set_buffer(&waited.args, bytes, client->length, 0,
					     (int64_t)client->length) == 0);
		check(sluice_send_async(socket, &waited.args) == 1);
		check(read_whole(fds[1], received, client->length));
		wait_for(&waited.ended);
		check(waited.args.bytes_transferred == client->length);
		check(memcmp(bytes, received, client->length) == 0);
	}
	sluice_socket_destroy(socket);
	check(!read_whole(fds[1], received, 1));
	close(fds[1]);
	free(bytes);
	free(received);
	return NULL;
}

static void e08_threads_that_come_and_go_with_their_sockets(void)
{
	struct sluice_engine *engine = started_engine();
	struct client clients[SENDERS];
	pthread_t threads[SENDERS];

	for (size_t i = 0; i < SENDERS; i++) {
		clients[i] = (struct client){engine, (i + 1) * 10000};
		thread_start(&threads[i], send_and_wait, &clients[i]);
	}
	for (size_t i = 0; i < SENDERS; i++)
		thread_join(threads[i]);
	check(sluice_engine_destroy(engine) == 0);
}

/* ---- every operation, from elsewhere ---- */

static void start_and_wait(int (*begin)(struct sluice_socket *, struct sluice_args *),
			   struct sluice_socket *socket, struct waited *waited)
{
	int answer = begin(socket, &waited->args);

	check(answer == 1);
	wait_for(&waited->ended);
	check(waited->args.error == SLUICE_ERROR_SUCCESS);
}

static void e08_connect_accept_receive_and_disconnect_from_elsewhere(void)
{
	struct sluice_engine *engine = started_engine();
	struct sluice_socket *listener, *client, *server;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	struct waited waited, accepting;
	char bytes[4];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	check(listen(fd, 8) == 0);
	check(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	listener = attach(engine, fd);
	client = attach(engine, socket(AF_INET, SOCK_STREAM, 0));
	waited_init(&waited);
	waited_init(&accepting);

	check(sluice_accept_async(listener, &accepting.args) == 1);
	waited.args.remote_address = (struct sockaddr *)&address;
	waited.args.remote_address_length = sizeof address;
	start_and_wait(sluice_connect_async, client, &waited);
	wait_for(&accepting.ended);
	server = accepting.args.accept_socket;
	check(accepting.args.error == SLUICE_ERROR_SUCCESS && server);

	check(sluice_args_set_buffer(&waited.args, "abcd", 4, 0, 4) == 0);
	start_and_wait(sluice_send_async, client, &waited);
	check(sluice_args_set_receive_buffer(&accepting.args, bytes, 4, 0, 4) == 0);
	start_and_wait(sluice_receive_async, server, &accepting);
	check(accepting.args.bytes_transferred == 4 && memcmp(bytes, "abcd", 4) == 0);
	start_and_wait(sluice_disconnect_async, client, &waited);
	start_and_wait(sluice_receive_async, server, &accepting);
	check(accepting.args.bytes_transferred == 0);

	sluice_socket_destroy(server);
	sluice_socket_destroy(client);
	sluice_socket_destroy(listener);
	check(sluice_engine_stop(engine) == 0);
	check(sluice_engine_destroy(engine) == 0);
}

/* ---- how it ends ---- */

static void call_in_handler(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_engine *engine = sluice_socket_engine(socket);

	check(sluice_engine_stop(engine) == -EDEADLK);
	check(sluice_engine_destroy(engine) == -EDEADLK);
	check(sluice_engine_run(engine, 0) == -EDEADLK);
	waited_end(socket, args);
}

static void e08_what_a_started_engine_answers(void)
{
	struct sluice_engine *engine = started_engine();
	struct sluice_socket *socket;
	struct waited waited;
	int fds[2];

	check(sluice_engine_start(engine) == -EBUSY);
	check(sluice_engine_adopt(engine) == -EBUSY);
	check(sluice_engine_run(engine, 0) == -EPERM);
	check(sluice_engine_flush(engine) == -EPERM);
	check(sluice_batch_begin(engine) == -EPERM);
	check(sluice_engine_fd(engine) == -EPERM);

	tcp_descriptors(0, fds);
	socket = attach(engine, fds[0]);
	waited_init(&waited);
	waited.args.completed = call_in_handler;
	check(sluice_args_set_buffer(&waited.args, "x", 1, 0, 1) == 0);
	check(sluice_send_async(socket, &waited.args) == 1);
	wait_for(&waited.ended);
	check(sluice_socket_detach(socket) == -EPERM);

	check(sluice_engine_stop(engine) == 0);
	check(sluice_send_async(socket, &waited.args) == -EBADF);
	check(sluice_socket_shutdown(socket, SHUT_WR) == -EBADF);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);

	engine = engine_new();
	check(sluice_engine_run(engine, 0) == 0);
	check(sluice_engine_start(engine) == -EBUSY);
	check(sluice_engine_stop(engine) == -EINVAL);
	check(sluice_engine_destroy(engine) == 0);
}

#define PENDING 20

static void end_with_work_pending(bool stop)
{
	static unsigned char bytes[1048576];
	struct sluice_engine *engine = started_engine();
	struct sluice_socket *socket;
	struct waited *waited = calloc(PENDING, sizeof *waited);
	int fds[2];

	tcp_descriptors(16384, fds);
	socket = attach(engine, fds[0]);
	for (int i = 0; i < PENDING; i++) {
		waited_init(&waited[i]);
		check(sluice_args_set_buffer(&waited[i].args, bytes, sizeof bytes, 0,
					     sizeof bytes) == 0);
		check(sluice_send_async(socket, &waited[i].args) == 1);
	}
	if (stop)
		check(sluice_engine_stop(engine) == 0);
	else
		check(sluice_engine_destroy(engine) == 0);
	for (int i = 0; i < PENDING; i++) {
		check(waited[i].handled == 1);
		check(waited[i].args.error == SLUICE_ERROR_OPERATION_ABORTED);
	}
	if (stop)
		check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
	free(waited);
}

static void e09_stop_aborts_what_is_pending_and_runs_every_handler(void)
{
	for (int round = 0; round < 10; round++)
		end_with_work_pending(true);
}

static void e09_destroy_without_stop_does_the_same(void)
{
	for (int round = 0; round < 10; round++)
		end_with_work_pending(false);
}

static void note_mask(struct sluice_engine *engine, void *token)
{
	struct waited *waited = token;
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	waited->handled = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1) &&
			  sigismember(&mask, SIGPIPE) && sigismember(&mask, SIGCHLD);
	sem_post(&waited->ended);
}

static void e08_all_signals_are_blocked_in_its_thread(void)
{
	struct sluice_engine *engine = started_engine();
	struct waited waited;

	waited_init(&waited);
	check(sluice_post(engine, note_mask, &waited) == 0);
	wait_for(&waited.ended);
	check(waited.handled);
	check(sluice_engine_destroy(engine) == 0);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"e08_handlers_run_in_the_engine_s_thread",
		 e08_handlers_run_in_the_engine_s_thread},
		{"e08_threads_that_come_and_go_with_their_sockets",
		 e08_threads_that_come_and_go_with_their_sockets},
		{"e08_connect_accept_receive_and_disconnect_from_elsewhere",
		 e08_connect_accept_receive_and_disconnect_from_elsewhere},
		{"e08_what_a_started_engine_answers", e08_what_a_started_engine_answers},
		{"e08_all_signals_are_blocked_in_its_thread",
		 e08_all_signals_are_blocked_in_its_thread},
		{"e09_stop_aborts_what_is_pending_and_runs_every_handler",
		 e09_stop_aborts_what_is_pending_and_runs_every_handler},
		{"e09_destroy_without_stop_does_the_same", e09_destroy_without_stop_does_the_same},
	};

	return TESTS(tests);
}
