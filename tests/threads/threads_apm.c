/* SPDX-License-Identifier: MIT */
/* Begin, End, waits and callbacks from many threads, and the ends of sockets and engines among them. */
#include "threads_support.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 8

static char bytes[5000];

static void *read_to_the_end(void *token)
{
	static _Thread_local char buffer[65536];

	while (recv(*(int *)token, buffer, sizeof buffer, 0) > 0)
		;
	return NULL;
}

/* An engine with a thread of its own, and a connection whose peer reads. */
struct scene {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	int fds[2];
	pthread_t reader;
};

static void scene_begin(struct scene *scene, int buffer_bytes)
{
	scene->engine = engine_new();
	check(sluice_engine_start(scene->engine) == 0);
	tcp_descriptors(buffer_bytes, scene->fds);
	scene->socket = attach(scene->engine, scene->fds[0]);
	thread_start(&scene->reader, read_to_the_end, &scene->fds[1]);
}

static void scene_end(struct scene *scene)
{
	check(sluice_engine_destroy(scene->engine) == 0);
	thread_join(scene->reader);
	close(scene->fds[1]);
}

/* ---- callers and waiters ---- */

static void *send_and_end(void *token)
{
	struct sluice_socket *socket = token;

	for (int i = 0; i < 500; i++) {
		struct sluice_async_result *result;
		int64_t size = 1 + i % (int64_t)sizeof bytes;

		check(sluice_begin_send(socket, bytes, sizeof bytes, 0, size, 0, NULL, NULL, NULL,
					&result) == 0);
		if (i % 3 == 0)
			check(sluice_async_result_wait(result, 20 * SECOND) == 0);
		check(sluice_end_send(socket, result, NULL) == size);
		check(sluice_end_send(socket, result, NULL) == -EALREADY);
	}
	return NULL;
}

static void c06_many_threads_begin_and_end(void)
{
	struct scene scene;
	pthread_t threads[THREADS];

	scene_begin(&scene, 16384);
	for (int i = 0; i < THREADS; i++)
		thread_start(&threads[i], send_and_end, scene.socket);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	scene_end(&scene);
}

/* One result, waited for by all, ended by the first who comes. */
struct shared {
	struct sluice_socket *socket;
	struct sluice_async_result *result;
	atomic_int ended, refused;
};

static void *wait_and_end(void *token)
{
	struct shared *shared = token;
	int64_t answer;

	check(sluice_async_result_wait(shared->result, 20 * SECOND) == 0);
	answer = sluice_end_send(shared->socket, shared->result, NULL);
	check(answer == (int64_t)sizeof bytes || answer == -EALREADY);
	atomic_fetch_add(answer > 0 ? &shared->ended : &shared->refused, 1);
	return NULL;
}

static void c07_one_of_many_ends_a_result(void)
{
	struct scene scene;
	pthread_t threads[THREADS];

	scene_begin(&scene, 16384);
	for (int round = 0; round < 100; round++) {
		struct shared shared = {.socket = scene.socket};

		check(sluice_begin_send(scene.socket, bytes, sizeof bytes, 0, sizeof bytes, 0, NULL,
					NULL, NULL, &shared.result) == 0);
		for (int i = 0; i < THREADS; i++)
			thread_start(&threads[i], wait_and_end, &shared);
		for (int i = 0; i < THREADS; i++)
			thread_join(threads[i]);
		check(atomic_load(&shared.ended) == 1);
		check(atomic_load(&shared.refused) == THREADS - 1);
	}
	scene_end(&scene);
}

/* ---- callbacks ---- */

struct chain {
	struct sluice_socket *socket;
	atomic_int left;
	atomic_int refused;
	sem_t over;
};

static void begin_next(struct sluice_async_result *result)
{
	struct chain *chain = sluice_async_result_state(result);
	int64_t answer = sluice_end_send(chain->socket, result, NULL);
	struct sluice_async_result *next;
	int begun = -EBADF;

	check(answer == 100 || answer == -EBADF || answer == -EPIPE);
	if (answer == 100 && atomic_fetch_sub(&chain->left, 1) > 1)
		begun = sluice_begin_send(chain->socket, bytes, 100, 0, 100, 0, NULL, begin_next,
					  chain, &next);
	check(begun == 0 || begun == -EBADF || begun == -EPIPE);
	if (begun != 0)
		sem_post(&chain->over);
}

static void chain_begin(struct chain *chain, struct sluice_socket *socket, int left)
{
	struct sluice_async_result *result;

	chain->socket = socket;
	atomic_init(&chain->left, left);
	sem_init(&chain->over, 0, 0);
	check(sluice_begin_send(socket, bytes, 100, 0, 100, 0, NULL, begin_next, chain, &result) ==
	      0);
}

static void c05_chains_of_callbacks(void)
{
	struct scene scenes[THREADS];
	struct chain chains[THREADS][3];

	for (int i = 0; i < THREADS; i++) {
		scene_begin(&scenes[i], 16384);
		for (int j = 0; j < 3; j++)
			chain_begin(&chains[i][j], scenes[i].socket, 500);
	}
	for (int i = 0; i < THREADS; i++) {
		for (int j = 0; j < 3; j++) {
			wait_for(&chains[i][j].over);
			check(atomic_load(&chains[i][j].left) == 0);
			sem_destroy(&chains[i][j].over);
		}
		scene_end(&scenes[i]);
	}
}

#define ORDERED 2000

struct order {
	atomic_int begun;
	int places[ORDERED];
	sem_t over;
};

static struct order order;

static void note_order(struct sluice_async_result *result)
{
	int place = atomic_fetch_add(&order.begun, 1);

	*(int *)sluice_async_result_state(result) = place;
	check(sluice_end_send(sluice_async_result_socket(result), result, NULL) == 1);
	/* Now and then one takes long: the others come behind it all the same. */
	if (place % 200 == 0)
		usleep(5000);
	sem_post(&order.over);
}

static void c05_callbacks_of_a_socket_begin_in_order(void)
{
	struct scene scene;

	scene_begin(&scene, 0);
	atomic_init(&order.begun, 0);
	sem_init(&order.over, 0, 0);
	for (int i = 0; i < ORDERED; i++) {
		struct sluice_async_result *result;

		check(sluice_begin_send(scene.socket, bytes, 1, 0, 1, 0, NULL, note_order,
					&order.places[i], &result) == 0);
	}
	for (int i = 0; i < ORDERED; i++)
		wait_for(&order.over);
	for (int i = 0; i < ORDERED; i++)
		check(order.places[i] == i);
	sem_destroy(&order.over);
	scene_end(&scene);
}

/* ---- ends among them ---- */

struct racer {
	struct sluice_socket *socket;
	atomic_int called;
	int begun;
};

static void count_call(struct sluice_async_result *result)
{
	struct racer *racer = sluice_async_result_state(result);
	int64_t answer = sluice_end_send(racer->socket, result, NULL);

	check(answer == (int64_t)sizeof bytes || answer == -EBADF || answer == -ECANCELED);
	atomic_fetch_add(&racer->called, 1);
}

static void *begin_until_refused(void *token)
{
	struct racer *racer = token;
	struct sluice_async_result *result;
	int answer;

	for (racer->begun = 0; racer->begun < 2000; racer->begun++) {
		answer = sluice_begin_send(racer->socket, bytes, sizeof bytes, 0, sizeof bytes, 0,
					   NULL, count_call, racer, &result);
		if (answer < 0) {
			check(answer == -EBADF);
			check(result == NULL);
			break;
		}
	}
	return NULL;
}

static void *end_until_refused(void *token)
{
	struct sluice_socket *socket = token;
	struct sluice_async_result *result;
	int64_t answer = sizeof bytes;

	while (answer == (int64_t)sizeof bytes) {
		answer = sluice_begin_send(socket, bytes, sizeof bytes, 0, sizeof bytes, 0, NULL,
					   NULL, NULL, &result);
		if (answer == 0)
			answer = sluice_end_send(socket, result, NULL);
	}
	check(answer == -EBADF || answer == -ECANCELED);
	return NULL;
}

typedef void end_fn(struct scene *scene);

static void close_it(struct scene *scene)
{
	check(sluice_socket_close(scene->socket) == 0);
}

static void cancel_and_close(struct scene *scene)
{
	check(sluice_socket_cancel_all(scene->socket) == 0);
	check(sluice_socket_close(scene->socket) == 0);
}

static void stop_engine(struct scene *scene)
{
	check(sluice_engine_stop(scene->engine) == 0);
}

static void race(end_fn *finish, int round)
{
	struct scene scene;
	struct racer racers[THREADS];
	pthread_t threads[THREADS], ender;

	scene_begin(&scene, round % 2 ? 16384 : 0);
	for (int i = 0; i < THREADS; i++) {
		racers[i].socket = scene.socket;
		atomic_init(&racers[i].called, 0);
		thread_start(&threads[i], begin_until_refused, &racers[i]);
	}
	thread_start(&ender, end_until_refused, scene.socket);
	usleep((unsigned)round * 200);
	finish(&scene);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	thread_join(ender);
	scene_end(&scene);
	for (int i = 0; i < THREADS; i++)
		check(atomic_load(&racers[i].called) == racers[i].begun);
}

static void c09_begin_and_end_racing_close(void)
{
	for (int round = 0; round < ROUNDS; round++)
		race(close_it, round);
}

static void c09_begin_and_end_racing_cancel_and_close(void)
{
	for (int round = 0; round < ROUNDS; round++)
		race(cancel_and_close, round);
}

static void e09_begin_and_end_racing_stop(void)
{
	for (int round = 0; round < ROUNDS; round++)
		race(stop_engine, round);
}

/* The socket goes inside its own callback; what it began goes with it. */
static void destroy_socket(struct sluice_async_result *result)
{
	struct sluice_socket *socket = sluice_async_result_socket(result);
	struct sluice_async_result *next;

	check(sluice_end_send(socket, result, NULL) == 10);
	check(sluice_begin_send(socket, bytes, 10, 0, 10, 0, NULL, NULL, NULL, &next) == 0);
	sluice_socket_destroy(socket);
	check(sluice_end_send(socket, next, NULL) == -EBADF);
	sem_post(sluice_async_result_state(result));
}

static void c09_sockets_destroyed_in_their_callbacks(void)
{
	struct sluice_engine *engine = engine_new();
	sem_t over;
	int peers[100];

	sem_init(&over, 0, 0);
	check(sluice_engine_start(engine) == 0);
	for (int i = 0; i < 100; i++) {
		struct sluice_async_result *result;
		int fds[2];

		tcp_descriptors(0, fds);
		peers[i] = fds[1];
		check(sluice_begin_send(attach(engine, fds[0]), bytes, 10, 0, 10, 0, NULL,
					destroy_socket, &over, &result) == 0);
	}
	for (int i = 0; i < 100; i++)
		wait_for(&over);
	check(sluice_engine_destroy(engine) == 0);
	for (int i = 0; i < 100; i++)
		close(peers[i]);
	sem_destroy(&over);
}

/* ---- the owner exits ---- */

struct lost {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct sluice_async_result *result;
	int fds[2];
	sem_t begun;
};

/* Owns the engine, and leaves it without a word. */
static void *own_and_exit(void *token)
{
	struct lost *lost = token;
	static char much[4000000];

	check(sluice_engine_adopt(lost->engine) == 0);
	lost->socket = attach(lost->engine, lost->fds[0]);
	check(sluice_begin_send(lost->socket, much, sizeof much, 0, sizeof much, 0, NULL, NULL,
				NULL, &lost->result) == 0);
	sem_post(&lost->begun);
	usleep(20000);
	return NULL;
}

static void c09_who_waits_for_an_engine_without_owner_is_told(void)
{
	struct lost lost = {.engine = engine_new()};
	pthread_t owner;

	sem_init(&lost.begun, 0, 0);
	tcp_descriptors(16384, lost.fds);
	thread_start(&owner, own_and_exit, &lost);
	wait_for(&lost.begun);
	check(sluice_end_send(lost.socket, lost.result, NULL) == -EBADF);
	thread_join(owner);
	check(sluice_async_result_wait(lost.result, -1) == -EBADF);
	check(sluice_engine_destroy(lost.engine) == 0);
	close(lost.fds[1]);
	sem_destroy(&lost.begun);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"c05_chains_of_callbacks", c05_chains_of_callbacks},
		{"c05_callbacks_of_a_socket_begin_in_order",
		 c05_callbacks_of_a_socket_begin_in_order},
		{"c06_many_threads_begin_and_end", c06_many_threads_begin_and_end},
		{"c07_one_of_many_ends_a_result", c07_one_of_many_ends_a_result},
		{"c09_begin_and_end_racing_close", c09_begin_and_end_racing_close},
		{"c09_begin_and_end_racing_cancel_and_close",
		 c09_begin_and_end_racing_cancel_and_close},
		{"c09_sockets_destroyed_in_their_callbacks",
		 c09_sockets_destroyed_in_their_callbacks},
		{"c09_who_waits_for_an_engine_without_owner_is_told",
		 c09_who_waits_for_an_engine_without_owner_is_told},
		{"e09_begin_and_end_racing_stop", e09_begin_and_end_racing_stop},
	};

	return TESTS(tests);
}
