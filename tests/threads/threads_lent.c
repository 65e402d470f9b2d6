/* SPDX-License-Identifier: MIT */
/*
 * Sends in the thread that starts them: other threads that send one record at a time on a socket of
 * which nothing is queued. Whatever happens to the socket meanwhile, the bytes stay in order.
 */
#include "threads_support.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the turns that a socket needs to be lent. */
#define TRIES 2000

struct one {
	struct sluice_args args; /* first: the handler finds it */
	sem_t ended;
	unsigned handled; /* by the engine's thread, until it has ended */
};

static void one_end(struct sluice_socket *socket, struct sluice_args *args)
{
	struct one *one = (struct one *)args;

	one->handled++;
	sem_post(&one->ended);
}

static void one_init(struct one *one)
{
	memset(one, 0, sizeof *one);
	check(sluice_args_init(&one->args) == 0);
	one->args.completed = one_end;
	sem_init(&one->ended, 0, 0);
}

/* Starts it and waits for its end. What the start answered. */
static int send_one(struct sluice_socket *socket, struct one *one, const void *base, size_t length)
{
	int answer;

	check(sluice_args_set_buffer(&one->args, base, length, 0, (int64_t)length) == 0);
	answer = sluice_send_async(socket, &one->args);
	if (answer == 1)
		wait_for(&one->ended);
	return answer;
}

/* Sends bytes, one at a time, until the socket is lent. How many there were. */
static unsigned send_until_lent(struct sluice_socket *socket, struct one *one)
{
	unsigned count = 1;

	while (send_one(socket, one, "x", 1) == 1)
		check(count++ < TRIES);
	check(one->args.error == SLUICE_ERROR_SUCCESS && one->args.bytes_transferred == 1);
	return count;
}

static void read_bytes(int fd, unsigned count)
{
	char byte;

	while (count-- > 0)
		check(read_whole(fd, &byte, 1) && byte == 'x');
}

struct scene {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct one one;
	int fds[2];
};

static void scene_begin(struct scene *scene, int buffer_bytes)
{
	scene->engine = engine_new();
	check(sluice_engine_start(scene->engine) == 0);
	tcp_descriptors(buffer_bytes, scene->fds);
	scene->socket = attach(scene->engine, scene->fds[0]);
	one_init(&scene->one);
}

static void scene_end(struct scene *scene)
{
	check(sluice_engine_destroy(scene->engine) == 0);
	close(scene->fds[1]);
}

/* ---- alone ---- */

static void b02_one_at_a_time_from_another_thread_completes_synchronously(void)
{
	struct sluice_engine_statistics before = {.size = sizeof before}, after = before;
	struct scene scene;
	unsigned synchronously = 0;

	scene_begin(&scene, 0);
	read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
	check(sluice_engine_stop(scene.engine) == 0);
	scene_end(&scene);

	scene_begin(&scene, 0);
	for (int i = 0; i < TRIES; i++) {
		unsigned handled = scene.one.handled;

		if (send_one(scene.socket, &scene.one, "x", 1) == 0) {
			check(scene.one.handled == handled);
			check(!sluice_args_in_progress(&scene.one.args));
			check(scene.one.args.last_operation == SLUICE_OPERATION_SEND);
			synchronously++;
		}
		check(scene.one.args.error == SLUICE_ERROR_SUCCESS);
		read_bytes(scene.fds[1], 1);
	}
	/* Some go by the engine: before the first time, and now and then. */
	check(synchronously > TRIES / 2 && synchronously < TRIES);
	check(sluice_engine_stop(scene.engine) == 0);
	check(sluice_engine_statistics(scene.engine, &after) == 0);
	check(after.records_started == TRIES && after.records_completed == TRIES);
	check(after.records_sent == TRIES && after.bytes_sent == TRIES);
	check(after.records_eager == synchronously);
	scene_end(&scene);
}

static void b02_batched_from_another_thread_never_does(void)
{
	struct scene scene;

	scene_begin(&scene, 0);
	read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
	for (int i = 0; i < 100; i++) {
		scene.one.args.flags = SLUICE_FLAG_BATCHED;
		check(send_one(scene.socket, &scene.one, "x", 1) == 1);
		read_bytes(scene.fds[1], 1);
	}
	scene_end(&scene);
}

/* The rest of it, and what is started meanwhile, goes by the engine. */
static void b05_what_does_not_fit_is_sent_behind_it(void)
{
	enum {
		LENGTH = 600000
	};
	unsigned char *bytes = malloc(LENGTH), *read = malloc(LENGTH);
	struct scene scene;
	struct one second;

	check(bytes && read);
	for (int i = 0; i < LENGTH; i++)
		bytes[i] = (unsigned char)(i * 31 >> 3);
	scene_begin(&scene, 8192);
	one_init(&second);
	for (int round = 0; round < 20; round++) {
		/* Below where zero copy is thought of, several times as much as fits. */
		size_t length = round % 2 ? 30000 : LENGTH;
		int answer;

		read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
		check(sluice_args_set_buffer(&scene.one.args, bytes, length, 0, (int64_t)length) ==
		      0);
		answer = sluice_send_async(scene.socket, &scene.one.args);
		check(answer == 1);
		check(sluice_socket_queued_bytes(scene.socket) > 0);
		check(sluice_args_set_buffer(&second.args, "x", 1, 0, 1) == 0);
		check(sluice_send_async(scene.socket, &second.args) == 1);
		check(read_whole(scene.fds[1], read, length));
		check(memcmp(read, bytes, length) == 0);
		read_bytes(scene.fds[1], 1);
		wait_for(&scene.one.ended);
		wait_for(&second.ended);
		check(scene.one.args.error == SLUICE_ERROR_SUCCESS);
		check(scene.one.args.bytes_transferred == length);
	}
	scene_end(&scene);
	free(bytes);
	free(read);
}

/* ---- what else can be done with the socket ---- */

/* The engine's thread finds what the kernel did not take. */
static void e02_what_does_not_fit_can_be_cancelled(void)
{
	static unsigned char bytes[30000];
	struct scene scene;

	scene_begin(&scene, 8192);
	for (int round = 0; round < 20; round++) {
		struct sluice_args *args = &scene.one.args;
		char *read = malloc(sizeof bytes);

		read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
		check(sluice_args_set_buffer(args, bytes, sizeof bytes, 0, sizeof bytes) == 0);
		check(sluice_send_async(scene.socket, args) == 1);
		check(sluice_cancel(scene.socket, args) == 0);
		wait_for(&scene.one.ended);
		check(args->error == SLUICE_ERROR_OPERATION_ABORTED);
		check(args->bytes_transferred > 0 && args->bytes_transferred < sizeof bytes);
		check(read_whole(scene.fds[1], read, args->bytes_transferred));
		free(read);
	}
	scene_end(&scene);
}

static void e03_a_close_gives_up_what_does_not_fit(void)
{
	static unsigned char bytes[30000];

	for (int round = 0; round < 20; round++) {
		struct scene scene;
		char buffer[4096];
		ssize_t count;

		scene_begin(&scene, 8192);
		read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
		check(sluice_args_set_buffer(&scene.one.args, bytes, sizeof bytes, 0,
					     sizeof bytes) == 0);
		check(sluice_send_async(scene.socket, &scene.one.args) == 1);
		check(sluice_socket_close(scene.socket) == 0);
		wait_for(&scene.one.ended);
		check(scene.one.args.error == SLUICE_ERROR_OPERATION_ABORTED);
		check(scene.one.args.bytes_transferred > 0);
		check(sluice_send_async(scene.socket, &scene.one.args) == -EBADF);
		do
			count = recv(scene.fds[1], buffer, sizeof buffer, 0);
		while (count > 0);
		/* Not for an end of the stream. */
		check(count < 0 && errno == ECONNRESET);
		scene_end(&scene);
	}
}

static void e04_behind_a_shutdown_nothing_is_sent(void)
{
	struct scene scene;
	char byte;

	for (int round = 0; round < 50; round++) {
		scene_begin(&scene, 0);
		read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
		check(sluice_socket_shutdown(scene.socket, SHUT_WR) == 0);
		check(send_one(scene.socket, &scene.one, "y", 1) == 1);
		check(scene.one.args.error == SLUICE_ERROR_SHUTDOWN);
		check(scene.one.args.bytes_transferred == 0);
		check(!read_whole(scene.fds[1], &byte, 1));
		scene_end(&scene);
	}
}

/* The peer has reset: the first send says so, whichever thread finds it, and later ones Shutdown. */
static void b12_a_reset_is_reported_once(void)
{
	for (int round = 0; round < 20; round++) {
		struct linger reset = {.l_onoff = 1};
		struct scene scene;

		scene_begin(&scene, 0);
		read_bytes(scene.fds[1], send_until_lent(scene.socket, &scene.one));
		check(setsockopt(scene.fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
		close(scene.fds[1]);
		check(send_one(scene.socket, &scene.one, "x", 1) == 1);
		check(scene.one.args.error == SLUICE_ERROR_CONNECTION_RESET);
		check(scene.one.args.bytes_transferred == 0);
		for (int i = 0; i < 10; i++) {
			check(send_one(scene.socket, &scene.one, "x", 1) == 1);
			check(scene.one.args.error == SLUICE_ERROR_SHUTDOWN);
		}
		scene.fds[1] = -1;
		scene_end(&scene);
	}
}

/* ---- Begin and End ---- */

static void c11_a_begin_of_another_thread_may_complete_synchronously(void)
{
	struct sluice_async_result *result;
	struct scene scene;
	unsigned synchronously = 0;

	scene_begin(&scene, 0);
	for (int i = 0; i < TRIES; i++) {
		check(sluice_begin_send(scene.socket, "x", 1, 0, 1, 0, NULL, NULL, NULL, &result) ==
		      0);
		check(sluice_async_result_wait(result, -1) == 0);
		synchronously += sluice_async_result_completed_synchronously(result) == 1;
		check(sluice_end_send(scene.socket, result, NULL) == 1);
		read_bytes(scene.fds[1], 1);
	}
	check(synchronously > TRIES / 2 && synchronously < TRIES);
	scene_end(&scene);
}

static unsigned next_called; /* callbacks of a socket run one at a time */
static sem_t called;

static void call_in_order(struct sluice_async_result *result)
{
	check((unsigned)(uintptr_t)sluice_async_result_state(result) == next_called++);
	check(sluice_end_send(sluice_async_result_socket(result), result, NULL) == 1);
	sem_post(&called);
}

/* None overtakes one that was sent before it and waits for its delivery. */
static void c05_callbacks_of_sends_begin_in_order(void)
{
	struct sluice_async_result *result;
	struct scene scene;
	unsigned number = 0;

	scene_begin(&scene, 0);
	next_called = 0;
	sem_init(&called, 0, 0);
	for (int i = 0; i < TRIES; i++) {
		unsigned count = i % 7 ? 1 : 1 + (unsigned)i % 3;

		for (unsigned j = 0; j < count; j++)
			check(sluice_begin_send(scene.socket, "x", 1, 0, 1, 0, NULL, call_in_order,
						(void *)(uintptr_t)number++, &result) == 0);
		for (unsigned j = 0; j < count; j++)
			wait_for(&called);
		read_bytes(scene.fds[1], count);
	}
	scene_end(&scene);
}

/* ---- several threads, and the engine's own ---- */

#define THREADS 3
#define NUMBERS 3000

struct number {
	struct one one;
	uint32_t value[2]; /* who, how many before */
};

struct numberer {
	struct sluice_socket *socket;
	uint32_t who;
	struct number number;
	pthread_t thread;
};

static void *send_numbers(void *token)
{
	struct numberer *numberer = token;
	struct number *number = &numberer->number;

	one_init(&number->one);
	for (uint32_t i = 0; i < NUMBERS; i++) {
		number->value[0] = numberer->who;
		number->value[1] = i;
		check(send_one(numberer->socket, &number->one, number->value,
			       sizeof number->value) >= 0);
		check(number->one.args.error == SLUICE_ERROR_SUCCESS);
		/* Alone for a while now and then, so that the socket is lent. */
		if (i % 500 == 100 * numberer->who)
			usleep(2000);
	}
	return NULL;
}

static void *check_numbers(void *token)
{
	uint32_t next[THREADS + 1] = {0}, value[2];

	for (uint32_t i = 0; i < (THREADS + 1) * NUMBERS; i++) {
		check(read_whole(*(int *)token, value, sizeof value));
		check(value[0] <= THREADS);
		check(value[1] == next[value[0]]++);
	}
	return NULL;
}

static void b07_threads_and_the_owner_keep_their_order(void)
{
	struct sluice_engine *engine = engine_new();
	struct numberer numberers[THREADS];
	struct number own = {.value = {THREADS, 0}};
	struct sluice_socket *socket;
	pthread_t reader;
	int fds[2];

	tcp_descriptors(4096, fds);
	socket = attach(engine, fds[0]);
	check(sluice_engine_run(engine, 0) >= 0);
	thread_start(&reader, check_numbers, &fds[1]);
	for (uint32_t i = 0; i < THREADS; i++) {
		numberers[i] = (struct numberer){.socket = socket, .who = i};
		thread_start(&numberers[i].thread, send_numbers, &numberers[i]);
	}
	one_init(&own.one);
	while (own.value[1] < NUMBERS) {
		struct sluice_args *args = &own.one.args;
		int answer;

		check(sluice_args_set_buffer(args, own.value, sizeof own.value, 0,
					     sizeof own.value) == 0);
		answer = sluice_send_async(socket, args);
		check(answer >= 0);
		while (sluice_args_in_progress(args))
			check(sluice_engine_run(engine, SECOND) >= 0);
		own.value[1]++;
		for (int i = 0; i < 5; i++)
			check(sluice_engine_run(engine, own.value[1] % 16 ? 0 : MILLISECOND) >= 0);
	}
	while (sluice_engine_run(engine, 200 * MILLISECOND) > 0)
		;
	for (int i = 0; i < THREADS; i++) {
		while (pthread_tryjoin_np(numberers[i].thread, NULL) == EBUSY)
			check(sluice_engine_run(engine, MILLISECOND) >= 0);
	}
	thread_join(reader);
	check(sluice_engine_destroy(engine) == 0);
	close(fds[1]);
}

/* ---- the end of a socket, and of an engine ---- */

struct ender {
	struct sluice_socket *socket;
	atomic_uint sent;
	unsigned pending;
	struct one one;
	int answer;
};

static void *send_until_refused(void *token)
{
	struct ender *ender = token;

	one_init(&ender->one);
	while ((ender->answer = send_one(ender->socket, &ender->one, "x", 1)) >= 0) {
		if (ender->one.args.error != SLUICE_ERROR_SUCCESS) {
			check(ender->one.args.error == SLUICE_ERROR_OPERATION_ABORTED);
			check(ender->one.args.bytes_transferred == 0);
			break;
		}
		atomic_fetch_add(&ender->sent, 1);
	}
	return NULL;
}

static void *count_bytes(void *token)
{
	char buffer[65536];
	uintptr_t bytes = 0;
	ssize_t count;

	while ((count = recv(*(int *)token, buffer, sizeof buffer, 0)) > 0)
		bytes += (uintptr_t)count;
	return (void *)bytes;
}

typedef void end_fn(struct scene *scene);

static void close_it(struct scene *scene)
{
	check(sluice_socket_close(scene->socket) == 0);
}

static void close_it_gracefully(struct scene *scene)
{
	check(sluice_socket_close_gracefully(scene->socket, SECOND) == 0);
}

static void stop_the_engine(struct scene *scene)
{
	check(sluice_engine_stop(scene->engine) == 0);
}

/* What was reported as sent arrives, and nothing else does. */
static void race(end_fn *end)
{
	for (int round = 0; round < 30; round++) {
		struct ender ender = {0};
		struct scene scene;
		pthread_t sender, reader;
		void *bytes;

		scene_begin(&scene, 0);
		ender.socket = scene.socket;
		thread_start(&reader, count_bytes, &scene.fds[1]);
		thread_start(&sender, send_until_refused, &ender);
		while (atomic_load(&ender.sent) < 20)
			usleep(50);
		usleep((unsigned)round * 10);
		end(&scene);
		thread_join(sender);
		if (end != stop_the_engine)
			check(sluice_engine_stop(scene.engine) == 0);
		check(pthread_join(reader, &bytes) == 0);
		check(ender.answer == -EBADF || ender.one.args.error);
		/* Cancelling resets the connection, and that drops bytes in flight. */
		if (ender.one.args.error)
			check((uintptr_t)bytes <= atomic_load(&ender.sent));
		else
			check((uintptr_t)bytes == atomic_load(&ender.sent));
		scene_end(&scene);
	}
}

static void e03_sends_racing_a_close(void)
{
	race(close_it);
}

static void e03_sends_racing_a_graceful_close(void)
{
	race(close_it_gracefully);
}

static void e09_sends_racing_a_stop(void)
{
	race(stop_the_engine);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"b02_one_at_a_time_from_another_thread_completes_synchronously",
		 b02_one_at_a_time_from_another_thread_completes_synchronously},
		{"b02_batched_from_another_thread_never_does",
		 b02_batched_from_another_thread_never_does},
		{"b05_what_does_not_fit_is_sent_behind_it",
		 b05_what_does_not_fit_is_sent_behind_it},
		{"b07_threads_and_the_owner_keep_their_order",
		 b07_threads_and_the_owner_keep_their_order},
		{"b12_a_reset_is_reported_once", b12_a_reset_is_reported_once},
		{"c05_callbacks_of_sends_begin_in_order", c05_callbacks_of_sends_begin_in_order},
		{"c11_a_begin_of_another_thread_may_complete_synchronously",
		 c11_a_begin_of_another_thread_may_complete_synchronously},
		{"e02_what_does_not_fit_can_be_cancelled", e02_what_does_not_fit_can_be_cancelled},
		{"e03_a_close_gives_up_what_does_not_fit", e03_a_close_gives_up_what_does_not_fit},
		{"e03_sends_racing_a_close", e03_sends_racing_a_close},
		{"e03_sends_racing_a_graceful_close", e03_sends_racing_a_graceful_close},
		{"e04_behind_a_shutdown_nothing_is_sent", e04_behind_a_shutdown_nothing_is_sent},
		{"e09_sends_racing_a_stop", e09_sends_racing_a_stop},
	};

	return TESTS(tests);
}
