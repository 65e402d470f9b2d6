/* SPDX-License-Identifier: MIT */
/* Cancelling from other threads while handlers restart and move the records. */
#include "threads_support.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_bool stop;

/* ---- a record that its handler starts again and again ---- */

struct restarted {
	struct sluice_args args;
	struct sluice_socket *sockets[2]; /* it moves from one to the other */
	unsigned char *bytes;
	size_t length;
	uint64_t taken[2]; /* bytes that the two streams hold; the engine's thread alone */
	unsigned started, ended, aborted;
	bool moving;
};

static void restart(struct restarted *restarted)
{
	struct sluice_socket *socket =
		restarted->sockets[restarted->moving ? restarted->started % 2 : 0];

	restarted->started++;
	check(sluice_args_set_buffer(&restarted->args, restarted->bytes, restarted->length, 0,
				     (int64_t)restarted->length) == 0);
	check(sluice_send_async(socket, &restarted->args) == 1);
}

static void restarted_end(struct sluice_socket *socket, struct sluice_args *args)
{
	struct restarted *restarted = (struct restarted *)args;

	check(args->error == SLUICE_ERROR_SUCCESS || args->error == SLUICE_ERROR_OPERATION_ABORTED);
	check(args->error != SLUICE_ERROR_SUCCESS || args->bytes_transferred == restarted->length);
	restarted->taken[socket == restarted->sockets[1]] += args->bytes_transferred;
	restarted->aborted += args->error != SLUICE_ERROR_SUCCESS;
	restarted->ended++;
	if (!atomic_load(&stop))
		restart(restarted);
}

struct reading {
	int fd;
	uint64_t bytes;
};

static void *read_to_the_end(void *token)
{
	struct reading *reading = token;
	static _Thread_local char buffer[65536];
	ssize_t count;

	while ((count = recv(reading->fd, buffer, sizeof buffer, 0)) > 0)
		reading->bytes += (uint64_t)count;
	return NULL;
}

/* Also on the socket where the record perhaps is not. */
static void *cancel_again_and_again(void *token)
{
	struct restarted *restarted = token;

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		int answer = sluice_cancel(restarted->sockets[i % 2], &restarted->args);

		check(answer == 0 || answer == -ENOENT);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void cancel_racing_handlers(bool moving, size_t length, unsigned rounds)
{
	struct sluice_engine *engine = engine_new();
	struct restarted restarted = {
		.bytes = calloc(1, length), .length = length, .moving = moving};
	struct reading readings[2];
	pthread_t readers[2], cancelers[2];
	int fds[2];

	atomic_store(&stop, false);
	restarted.args.completed = restarted_end;
	for (int i = 0; i < 2; i++) {
		tcp_descriptors(16384, fds);
		restarted.sockets[i] = attach(engine, fds[0]);
		readings[i] = (struct reading){.fd = fds[1]};
		thread_start(&readers[i], read_to_the_end, &readings[i]);
	}
	restarted.args.flags = SLUICE_FLAG_BATCHED;
	restart(&restarted);
	for (int i = 0; i < 2; i++)
		thread_start(&cancelers[i], cancel_again_and_again, &restarted);
	while (restarted.ended < rounds)
		check(sluice_engine_run(engine, 20 * SECOND) >= 0);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		thread_join(cancelers[i]);
	while (restarted.ended < restarted.started)
		check(sluice_engine_run(engine, 20 * SECOND) >= 0);

	/* What the records say they sent is what the streams hold. */
	for (int i = 0; i < 2; i++)
		check(sluice_socket_shutdown(restarted.sockets[i], SHUT_WR) == 0);
	check(sluice_engine_run(engine, 0) >= 0);
	for (int i = 0; i < 2; i++) {
		thread_join(readers[i]);
		check(readings[i].bytes == restarted.taken[i]);
		close(readings[i].fd);
	}
	check(restarted.ended == restarted.started);
	check(sluice_engine_destroy(engine) == 0);
	free(restarted.bytes);
}

static void e02_cancel_racing_handlers_that_restart_the_record(void)
{
	cancel_racing_handlers(false, 200000, 2000);
}

static void e02_cancel_racing_handlers_that_move_the_record(void)
{
	cancel_racing_handlers(true, 100, 5000);
}

/* ---- records that their handlers free ---- */

#define RECORDS 200

struct shared {
	struct sluice_args args;
	sem_t ended;
	unsigned handled;
};

static void shared_end(struct sluice_socket *socket, struct sluice_args *args)
{
	struct shared *shared = (struct shared *)args;

	shared->handled++;
	sem_post(&shared->ended);
}

/* Of a descriptor that does not block. */
static unsigned read_to_the_end_of(int fd)
{
	unsigned count = 0;
	char byte;

	while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000) == 1 &&
	       recv(fd, &byte, 1, 0) == 1)
		count++;
	return count;
}

/* Cancels what is perhaps just ending, waits for the end, and reuses the memory. */
static void e02_a_record_may_be_gone_as_soon_as_its_handler_ran(void)
{
	struct sluice_engine *engine = engine_new();
	struct sluice_socket *socket;
	unsigned aborted = 0;
	char byte;
	int fds[2];

	check(sluice_engine_start(engine) == 0);
	tcp_descriptors(0, fds);
	socket = attach(engine, fds[0]);
	for (int i = 0; i < RECORDS; i++) {
		struct shared *shared = calloc(1, sizeof *shared);

		sem_init(&shared->ended, 0, 0);
		shared->args.completed = shared_end;
		check(sluice_args_set_receive_buffer(&shared->args, &byte, 1, 0, 1) == 0);
		check(sluice_receive_async(socket, &shared->args) == 1);
		check(send(fds[1], "x", 1, MSG_NOSIGNAL) == 1);
		sluice_cancel(socket, &shared->args);
		wait_for(&shared->ended);
		check(shared->handled == 1);
		check(shared->args.error == SLUICE_ERROR_OPERATION_ABORTED ||
		      shared->args.bytes_transferred == 1);
		aborted += shared->args.error != SLUICE_ERROR_SUCCESS;
		memset(shared, 0xa5, sizeof *shared);
		free(shared);
	}

	/* What was cancelled took nothing: its bytes are still there. */
	check(shutdown(fds[1], SHUT_WR) == 0);
	check(read_to_the_end_of(sluice_socket_fd(socket)) == aborted);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
}

/* The start still lies in the mailbox when the cancel comes; nothing else would end it. */
static void e02_a_cancel_right_after_the_start_is_not_lost(void)
{
	struct sluice_engine *engine = engine_new();
	struct sluice_socket *socket;
	struct shared shared = {.args.completed = shared_end};
	char byte;
	int fds[2];

	check(sluice_engine_start(engine) == 0);
	tcp_descriptors(0, fds);
	socket = attach(engine, fds[0]);
	sem_init(&shared.ended, 0, 0);
	check(sluice_args_set_receive_buffer(&shared.args, &byte, 1, 0, 1) == 0);
	for (unsigned i = 1; i <= 2000; i++) {
		check(sluice_receive_async(socket, &shared.args) == 1);
		check(sluice_cancel(socket, &shared.args) == 0);
		wait_for(&shared.ended);
		check(shared.handled == i);
		check(shared.args.error == SLUICE_ERROR_OPERATION_ABORTED);
	}
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
}

/* ---- cancel_all, from elsewhere ---- */

#define QUEUED 100

static void *cancel_everything(void *token)
{
	check(sluice_socket_cancel_all(token) == 0);
	return NULL;
}

static void e02_cancel_all_from_another_thread(void)
{
	static unsigned char bytes[100000];
	struct sluice_engine *engine = engine_new();
	struct sluice_socket *socket;
	struct shared *records = calloc(QUEUED, sizeof *records);
	pthread_t thread;
	unsigned handled = 0;
	int fds[2];

	tcp_descriptors(16384, fds);
	socket = attach(engine, fds[0]);
	for (int i = 0; i < QUEUED; i++) {
		sem_init(&records[i].ended, 0, 0);
		records[i].args.completed = shared_end;
		records[i].args.flags = SLUICE_FLAG_BATCHED;
		check(sluice_args_set_buffer(&records[i].args, bytes, sizeof bytes, 0,
					     sizeof bytes) == 0);
		check(sluice_send_async(socket, &records[i].args) == 1);
	}
	thread_start(&thread, cancel_everything, socket);
	while (handled < QUEUED) {
		check(sluice_engine_run(engine, 20 * SECOND) >= 0);
		handled = 0;
		for (int i = 0; i < QUEUED; i++)
			handled += records[i].handled;
	}
	thread_join(thread);
	for (int i = 0; i < QUEUED; i++) {
		check(records[i].handled == 1);
		check(records[i].args.error == SLUICE_ERROR_OPERATION_ABORTED);
	}
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
	free(records);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"e02_cancel_racing_handlers_that_restart_the_record",
		 e02_cancel_racing_handlers_that_restart_the_record},
		{"e02_cancel_racing_handlers_that_move_the_record",
		 e02_cancel_racing_handlers_that_move_the_record},
		{"e02_a_record_may_be_gone_as_soon_as_its_handler_ran",
		 e02_a_record_may_be_gone_as_soon_as_its_handler_ran},
		{"e02_a_cancel_right_after_the_start_is_not_lost",
		 e02_a_cancel_right_after_the_start_is_not_lost},
		{"e02_cancel_all_from_another_thread", e02_cancel_all_from_another_thread},
	};

	return TESTS(tests);
}
