/* SPDX-License-Identifier: MIT */
/* What ends the engine's wait: posts, wakes, sends and signals from elsewhere. */
#include "threads_support.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- post ---- */

#define POSTERS 4
#define POSTS 5000

struct poster {
	struct sluice_engine *engine;
	unsigned next; /* the engine's thread alone */
};

struct post {
	struct poster *poster;
	unsigned sequence;
};

static unsigned posts_run;

static void run_post(struct sluice_engine *engine, void *token)
{
	struct post *post = token;

	check(post->poster->engine == engine);
	check(post->sequence == post->poster->next++);
	posts_run++;
	free(post);
}

static void *post_many(void *token)
{
	for (unsigned i = 0; i < POSTS; i++) {
		struct post *post = malloc(sizeof *post);

		*post = (struct post){token, i};
		check(sluice_post(post->poster->engine, run_post, post) == 0);
		if (i % 100 == 0)
			usleep(10);
	}
	return NULL;
}

/* The engine sleeps whenever it has nothing to do; no post may be slept over. */
static void e08_posts_of_many_threads_run_in_each_thread_s_order(void)
{
	struct sluice_engine *engine = engine_new();
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];
	int handlers = 0;

	posts_run = 0;
	for (int i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){.engine = engine};
		thread_start(&threads[i], post_many, &posters[i]);
	}
	while (posts_run < POSTERS * POSTS) {
		int answer = sluice_engine_run(engine, -1);

		check(answer >= 0);
		handlers += answer;
	}
	check(handlers == POSTERS * POSTS);
	for (int i = 0; i < POSTERS; i++)
		thread_join(threads[i]);
	check(sluice_engine_destroy(engine) == 0);
}

/* ---- one at a time, each of which finds the engine asleep ---- */

struct ping {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	sem_t done;
	struct sluice_args args;
};

static void ping_post(struct sluice_engine *engine, void *token)
{
	sem_post(&((struct ping *)token)->done);
}

static void ping_end(struct sluice_socket *socket, struct sluice_args *args)
{
	sem_post(&((struct ping *)args->user_token)->done);
}

static atomic_bool pings_over;

#define PINGS 1000

static int ping_send(struct ping *ping)
{
	ping->args.flags = SLUICE_FLAG_BATCHED;
	return sluice_send_async(ping->socket, &ping->args);
}

static void *ping_many(void *token)
{
	struct ping *ping = token;

	ping->args.completed = ping_end;
	ping->args.user_token = ping;
	check(sluice_args_set_buffer(&ping->args, "x", 1, 0, 1) == 0);
	for (int i = 0; i < PINGS; i++) {
		if (i % 2)
			check(sluice_post(ping->engine, ping_post, ping) == 0);
		else
			check(ping_send(ping) == 1);
		wait_for(&ping->done);
	}
	atomic_store(&pings_over, true);
	sluice_engine_wake(ping->engine);
	return NULL;
}

static void e08_a_post_or_a_send_from_elsewhere_ends_the_wait(void)
{
	struct ping ping = {.engine = engine_new()};
	pthread_t thread;
	int fds[2];

	tcp_descriptors(0, fds);
	ping.socket = attach(ping.engine, fds[0]);
	sem_init(&ping.done, 0, 0);
	atomic_store(&pings_over, false);
	thread_start(&thread, ping_many, &ping);
	while (!atomic_load(&pings_over))
		check(sluice_engine_run(ping.engine, -1) >= 0);
	thread_join(thread);
	check(sluice_engine_destroy(ping.engine) == 0);
	close(fds[1]);
}

/* ---- wake ---- */

struct waker {
	struct sluice_engine *engine;
	sem_t awake;
	pthread_t target;
};

static void *wake_many(void *token)
{
	struct waker *waker = token;

	for (int i = 0; i < PINGS; i++) {
		sluice_engine_wake(waker->engine);
		wait_for(&waker->awake);
	}
	return NULL;
}

static void e07_a_wake_ends_the_wait_or_the_next_one(void)
{
	struct waker waker = {.engine = engine_new()};
	pthread_t thread;

	sem_init(&waker.awake, 0, 0);
	thread_start(&thread, wake_many, &waker);
	for (int i = 0; i < PINGS; i++) {
		check(sluice_engine_run(waker.engine, -1) == 0);
		sem_post(&waker.awake);
	}
	thread_join(thread);
	check(sluice_engine_run(waker.engine, 0) == 0);
	check(sluice_engine_destroy(waker.engine) == 0);
}

static atomic_bool wakes_counted;

static void *wake_until_counted(void *token)
{
	while (!atomic_load(&wakes_counted)) {
		usleep(1000);
		sluice_engine_wake(token);
	}
	return NULL;
}

static void e07_wakes_of_a_waiting_engine_are_counted(void)
{
	struct sluice_engine_statistics statistics = {.size = sizeof statistics};
	struct sluice_engine *engine = engine_new();
	pthread_t thread;

	check(sluice_engine_statistics(engine, &statistics) == 0 && statistics.wakes == 0);
	atomic_store(&wakes_counted, false);
	thread_start(&thread, wake_until_counted, engine);
	do {
		check(sluice_engine_run(engine, -1) == 0);
		check(sluice_engine_statistics(engine, &statistics) == 0);
	} while (!statistics.wakes);
	atomic_store(&wakes_counted, true);
	thread_join(thread);
	check(sluice_engine_destroy(engine) == 0);
}

static struct sluice_engine *signalled_engine; /* NULL: the signal does not wake */
static atomic_int signals;

static void on_signal(int number)
{
	errno = 77;
	if (signalled_engine)
		sluice_engine_wake(signalled_engine);
	if (errno == 77)
		atomic_fetch_add(&signals, 1);
}

static void *signal_until_awake(void *token)
{
	struct waker *waker = token;

	do {
		check(pthread_kill(waker->target, SIGUSR1) == 0);
		usleep(2000);
	} while (sem_trywait(&waker->awake) != 0);
	return NULL;
}

static int run_with_a_signal(bool wake)
{
	struct waker waker = {.engine = engine_new(), .target = pthread_self()};
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	int answer;

	check(sigaction(SIGUSR1, &action, NULL) == 0);
	signalled_engine = wake ? waker.engine : NULL;
	atomic_store(&signals, 0);
	sem_init(&waker.awake, 0, 0);
	thread_start(&thread, signal_until_awake, &waker);
	answer = sluice_engine_run(waker.engine, -1);
	check(atomic_load(&signals) > 0);
	sem_post(&waker.awake);
	thread_join(thread);
	signalled_engine = NULL;
	check(sluice_engine_destroy(waker.engine) == 0);
	return answer;
}

static void e07_a_signal_ends_the_wait_with_eintr(void)
{
	check(run_with_a_signal(false) == -EINTR);
}

static void e07_a_wake_from_a_signal_handler_ends_it_with_0(void)
{
	check(run_with_a_signal(true) == 0);
}

int main(void)
{
	static const struct thread_test tests[] = {
		{"e07_a_wake_ends_the_wait_or_the_next_one",
		 e07_a_wake_ends_the_wait_or_the_next_one},
		{"e07_wakes_of_a_waiting_engine_are_counted",
		 e07_wakes_of_a_waiting_engine_are_counted},
		{"e07_a_signal_ends_the_wait_with_eintr", e07_a_signal_ends_the_wait_with_eintr,
		 DELAYS_SIGNALS},
		{"e07_a_wake_from_a_signal_handler_ends_it_with_0",
		 e07_a_wake_from_a_signal_handler_ends_it_with_0, DELAYS_SIGNALS},
		{"e08_a_post_or_a_send_from_elsewhere_ends_the_wait",
		 e08_a_post_or_a_send_from_elsewhere_ends_the_wait},
		{"e08_posts_of_many_threads_run_in_each_thread_s_order",
		 e08_posts_of_many_threads_run_in_each_thread_s_order},
	};

	return TESTS(tests);
}
