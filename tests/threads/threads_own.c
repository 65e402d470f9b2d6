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
		waited.args.flags = SLUICE_FLAG_BATCHED;
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
		check(sluice_args_complete(socket, &waited.args,
					   sluice_send_async(socket, &waited.args)) == 1);
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

/* ---- what is started before the engine has seen what was started before it ---- */

/* Keeps the engine's thread busy. */
struct held {
	sem_t reached;
	sem_t go_on;
};

static void hold_thread(struct sluice_engine *engine, void *token)
{
	struct held *held = token;

	sem_post(&held->reached);
	wait_for(&held->go_on);
}

static void held_begin(struct held *held, struct sluice_engine *engine)
{
	sem_init(&held->reached, 0, 0);
	sem_init(&held->go_on, 0, 0);
	check(sluice_post(engine, hold_thread, held) == 0);
	wait_for(&held->reached);
}

static struct sockaddr_in loopback_of(int fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	check(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	check(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	return address;
}

/* A connect, and a send and a receive behind it, of this socket. */
struct behind {
	struct waited connect, send, receive;
	char bytes[8];
};

static void behind_start(struct behind *behind, struct sluice_socket *socket,
			 const struct sockaddr_in *address)
{
	waited_init(&behind->connect);
	waited_init(&behind->send);
	waited_init(&behind->receive);
	behind->connect.args.remote_address = (const struct sockaddr *)address;
	behind->connect.args.remote_address_length = sizeof *address;
	check(sluice_args_set_buffer(&behind->send.args, "hello", 5, 0, 5) == 0);
	check(sluice_args_set_receive_buffer(&behind->receive.args, behind->bytes, 8, 0, 8) == 0);
	check(sluice_connect_async(socket, &behind->connect.args) == 1);
	check(sluice_send_async(socket, &behind->send.args) == 1);
	check(sluice_receive_async(socket, &behind->receive.args) == 1);
}

static void behind_end(struct behind *behind)
{
	wait_for(&behind->connect.ended);
	wait_for(&behind->send.ended);
	wait_for(&behind->receive.ended);
}

static void e01_what_another_thread_starts_behind_its_connect_waits_for_it(void)
{
	struct sluice_engine *engine = started_engine();
	int listener = socket(AF_INET, SOCK_STREAM, 0), peer;
	struct sockaddr_in address = loopback_of(listener);
	struct sluice_socket *socket_ = attach(engine, socket(AF_INET, SOCK_STREAM, 0));
	struct behind behind;
	struct held held;
	char bytes[5];

	check(listen(listener, 1) == 0);
	held_begin(&held, engine);
	behind_start(&behind, socket_, &address);
	sem_post(&held.go_on);
	peer = accept(listener, NULL, NULL);
	check(read_whole(peer, bytes, 5) && memcmp(bytes, "hello", 5) == 0);
	check(write(peer, "abc", 3) == 3);
	behind_end(&behind);
	check(behind.connect.args.error == SLUICE_ERROR_SUCCESS);
	check(behind.send.args.error == SLUICE_ERROR_SUCCESS);
	check(behind.receive.args.error == SLUICE_ERROR_SUCCESS);
	check(behind.receive.args.bytes_transferred == 3);
	check(sluice_connect_async(socket_, &behind.connect.args) == -EISCONN);
	check(sluice_engine_destroy(engine) == 0);
	close(peer);
	close(listener);
}

static void e01_it_ends_with_not_connected_when_the_connect_fails(void)
{
	struct sluice_engine *engine = started_engine();
	int unused = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = loopback_of(unused);
	struct sluice_socket *socket_ = attach(engine, socket(AF_INET, SOCK_STREAM, 0));
	struct behind behind;
	struct held held;

	for (int round = 0; round < 2; round++) {
		held_begin(&held, engine);
		behind_start(&behind, socket_, &address);
		sem_post(&held.go_on);
		behind_end(&behind);
		check(behind.connect.args.error == SLUICE_ERROR_CONNECTION_REFUSED);
		check(behind.send.args.error == SLUICE_ERROR_NOT_CONNECTED);
		check(behind.receive.args.error == SLUICE_ERROR_NOT_CONNECTED);
		check(sluice_send_async(socket_, &behind.send.args) == -ENOTCONN);
		check(sluice_receive_async(socket_, &behind.receive.args) == -ENOTCONN);
	}
	check(sluice_engine_destroy(engine) == 0);
	close(unused);
}

/* Each of several connects counts until it is over. */
static void e01_a_second_connect_in_progress_is_told_so(void)
{
	struct sluice_engine *engine = started_engine();
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = loopback_of(listener);
	struct sluice_socket *socket_ = attach(engine, socket(AF_INET, SOCK_STREAM, 0));
	struct behind first, second;
	struct held held;

	check(listen(listener, 1) == 0);
	held_begin(&held, engine);
	behind_start(&first, socket_, &address);
	behind_start(&second, socket_, &address);
	sem_post(&held.go_on);
	wait_for(&first.connect.ended);
	wait_for(&second.connect.ended);
	wait_for(&first.send.ended);
	wait_for(&second.send.ended);
	check(first.connect.args.error == SLUICE_ERROR_SUCCESS);
	check(second.connect.args.error == SLUICE_ERROR_ALREADY_IN_PROGRESS ||
	      second.connect.args.error == SLUICE_ERROR_IS_CONNECTED);
	check(first.send.args.error == SLUICE_ERROR_SUCCESS);
	check(second.send.args.error == SLUICE_ERROR_SUCCESS);
	check(sluice_engine_destroy(engine) == 0);
	close(listener);
}

static void e01_a_datagram_behind_a_connect_has_its_remote(void)
{
	struct sluice_engine *engine = started_engine();
	int receiver = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in address = loopback_of(receiver);
	struct sluice_socket *socket_ = attach(engine, socket(AF_INET, SOCK_DGRAM, 0));
	struct waited connect_, send_;
	struct held held;
	char bytes[8];

	waited_init(&connect_);
	waited_init(&send_);
	connect_.args.remote_address = (struct sockaddr *)&address;
	connect_.args.remote_address_length = sizeof address;
	check(sluice_args_set_buffer(&send_.args, "hello", 5, 0, 5) == 0);
	check(sluice_send_async(socket_, &send_.args) == -EDESTADDRREQ);
	held_begin(&held, engine);
	check(sluice_connect_async(socket_, &connect_.args) == 1);
	check(sluice_send_async(socket_, &send_.args) == 1);
	sem_post(&held.go_on);
	wait_for(&send_.ended);
	check(send_.args.error == SLUICE_ERROR_SUCCESS);
	check(recv(receiver, bytes, sizeof bytes, 0) == 5);
	check(sluice_engine_destroy(engine) == 0);
	close(receiver);
}

static void nothing_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			     void *token)
{
}

static void nothing_received(struct sluice_socket *socket_, const struct sluice_received *received,
			     void *token)
{
}

static void s01_starts_and_single_receives_exclude_each_other_at_once(void)
{
	struct sluice_engine *engine = started_engine();
	int fd = socket(AF_INET, SOCK_STREAM, 0), fds[2];
	struct sluice_accept_options accepting = {.size = sizeof accepting,
						  .on_accepted = nothing_accepted};
	struct sluice_receive_options receiving = {.size = sizeof receiving,
						   .on_received = nothing_received};
	struct sluice_socket *listener, *socket_;
	struct waited accept_, receive_;
	struct held held;
	char byte;

	loopback_of(fd);
	check(listen(fd, 1) == 0);
	listener = attach(engine, fd);
	tcp_descriptors(0, fds);
	socket_ = attach(engine, fds[0]);
	waited_init(&accept_);
	waited_init(&receive_);
	check(sluice_args_set_receive_buffer(&receive_.args, &byte, 1, 0, 1) == 0);

	held_begin(&held, engine);
	check(sluice_accept_async(listener, &accept_.args) == 1);
	check(sluice_accept_start(listener, &accepting) == -EBUSY);
	check(sluice_receive_async(socket_, &receive_.args) == 1);
	check(sluice_receive_start(socket_, &receiving) == -EBUSY);
	check(sluice_socket_cancel_all(listener) == 0);
	check(sluice_socket_cancel_all(socket_) == 0);
	sem_post(&held.go_on);
	wait_for(&accept_.ended);
	wait_for(&receive_.ended);

	held_begin(&held, engine);
	check(sluice_accept_start(listener, &accepting) == 0);
	check(sluice_accept_async(listener, &accept_.args) == -EBUSY);
	check(sluice_receive_start(socket_, &receiving) == 0);
	check(sluice_receive_async(socket_, &receive_.args) == -EBUSY);
	sem_post(&held.go_on);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
}

/* ---- a01: members changed before the engine has seen the record ---- */

static void a01_members_changed_before_the_engine_takes_the_record_have_no_effect(void)
{
	struct sluice_engine *engine = started_engine();
	int listener = socket(AF_INET, SOCK_STREAM, 0), receiver = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in address = loopback_of(listener), to = loopback_of(receiver);
	struct sockaddr_in nowhere = {.sin_family = AF_INET};
	struct sluice_socket *stream = attach(engine, socket(AF_INET, SOCK_STREAM, 0));
	struct sluice_socket *datagram = attach(engine, socket(AF_INET, SOCK_DGRAM, 0));
	struct waited connect_, send_;
	struct held held;
	char bytes[8];

	check(listen(listener, 1) == 0);
	waited_init(&connect_);
	waited_init(&send_);
	connect_.args.remote_address = (struct sockaddr *)&address;
	connect_.args.remote_address_length = sizeof address;
	connect_.args.timeout_ns = 10 * SECOND;
	send_.args.remote_address = (struct sockaddr *)&to;
	send_.args.remote_address_length = sizeof to;
	check(sluice_args_set_buffer(&send_.args, "hello", 5, 0, 5) == 0);

	held_begin(&held, engine);
	check(sluice_connect_async(stream, &connect_.args) == 1);
	check(sluice_send_to_async(datagram, &send_.args) == 1);
	connect_.args.remote_address = (struct sockaddr *)&nowhere;
	connect_.args.timeout_ns = 1;
	send_.args.remote_address = (struct sockaddr *)&nowhere;
	send_.args.remote_address_length = 1;
	sem_post(&held.go_on);
	wait_for(&connect_.ended);
	wait_for(&send_.ended);
	check(connect_.args.error == SLUICE_ERROR_SUCCESS);
	check(send_.args.error == SLUICE_ERROR_SUCCESS);
	check(recv(receiver, bytes, sizeof bytes, 0) == 5);
	check(sluice_engine_destroy(engine) == 0);
	close(listener);
	close(receiver);
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
		{"e01_what_another_thread_starts_behind_its_connect_waits_for_it",
		 e01_what_another_thread_starts_behind_its_connect_waits_for_it},
		{"e01_it_ends_with_not_connected_when_the_connect_fails",
		 e01_it_ends_with_not_connected_when_the_connect_fails},
		{"e01_a_second_connect_in_progress_is_told_so",
		 e01_a_second_connect_in_progress_is_told_so},
		{"e01_a_datagram_behind_a_connect_has_its_remote",
		 e01_a_datagram_behind_a_connect_has_its_remote},
		{"s01_starts_and_single_receives_exclude_each_other_at_once",
		 s01_starts_and_single_receives_exclude_each_other_at_once},
		{"a01_members_changed_before_the_engine_takes_the_record_have_no_effect",
		 a01_members_changed_before_the_engine_takes_the_record_have_no_effect},
		{"e08_what_a_started_engine_answers", e08_what_a_started_engine_answers},
		{"e08_all_signals_are_blocked_in_its_thread",
		 e08_all_signals_are_blocked_in_its_thread},
		{"e09_stop_aborts_what_is_pending_and_runs_every_handler",
		 e09_stop_aborts_what_is_pending_and_runs_every_handler},
		{"e09_destroy_without_stop_does_the_same", e09_destroy_without_stop_does_the_same},
	};

	return TESTS(tests);
}
