/* SPDX-License-Identifier: MIT */
/*
 * Many engines on many cores: several runners of another peer. Each has a thread pinned to its own
 * core, its own sockets and its own receiver, so that they share only what their library and the
 * kernel share. For comparison, a single one performs all the work.
 */
#include <err.h>
#include <pthread.h>
#include <stdlib.h>

#include "harness/cpus.h"
#include "harness/runner.h"

struct thread {
	struct engines_runner *all;
	pthread_t id;
	int cpu;
	struct receiver receiver;
};

struct engines_runner {
	struct runner runner;
	const struct peer *peer;
	struct load load;      /* of one thread */
	uint64_t times_factor; /* loads of each thread, which together are one load */
	size_t count;
	struct thread *threads;
	uint64_t times;
	bool over;
	pthread_barrier_t begin;
	pthread_barrier_t end;
};

static struct runner *make(const struct thread *thread)
{
	struct load load = thread->all->load;

	net_pin(thread->cpu);
	load.receiver = &thread->receiver;
	return thread->all->peer->create(&load);
}

static void *live(void *argument)
{
	struct thread *thread = argument;
	struct engines_runner *all = thread->all;
	struct runner *runner = make(thread);

	for (;;) {
		pthread_barrier_wait(&all->end); /* the first time: it is created */
		pthread_barrier_wait(&all->begin);
		if (all->over)
			break;
		runner->run(runner, all->times);
	}
	runner->destroy(runner);
	return NULL;
}

static void run(struct runner *runner, uint64_t times)
{
	struct engines_runner *self = (struct engines_runner *)runner;

	self->times = times * self->times_factor;
	pthread_barrier_wait(&self->begin);
	pthread_barrier_wait(&self->end);
}

static void destroy(struct runner *runner)
{
	struct engines_runner *self = (struct engines_runner *)runner;

	self->over = true;
	pthread_barrier_wait(&self->begin);
	for (size_t i = 0; i < self->count; i++) {
		pthread_join(self->threads[i].id, NULL);
		receiver_stop(&self->threads[i].receiver);
	}
	pthread_barrier_destroy(&self->begin);
	pthread_barrier_destroy(&self->end);
	free(self->threads);
	free(self);
}

/*
 * Threads get the first cores, their receivers the next ones. If these do not suffice, a receiver
 * shares the core of another thread than its own, if possible.
 */
static void place(struct engines_runner *self, const struct receiver *like)
{
	int cpus[CPUS_MAX];
	size_t cores = cpus_list(cpus), offset = self->count % cores ? self->count : 1;

	for (size_t i = 0; i < self->count; i++) {
		struct thread *thread = &self->threads[i];

		thread->all = self;
		thread->cpu = cpus[i % cores];
		receiver_start(&thread->receiver, like->mode, cpus[(i + offset) % cores],
			       like->receiver_sleep_us);
	}
}

static void start(struct engines_runner *self)
{
	pthread_barrier_init(&self->begin, NULL, (unsigned)self->count + 1);
	pthread_barrier_init(&self->end, NULL, (unsigned)self->count + 1);
	for (size_t i = 0; i < self->count; i++) {
		struct thread *thread = &self->threads[i];

		if (pthread_create(&thread->id, NULL, live, thread) != 0)
			errx(1, "pthread_create");
	}
	pthread_barrier_wait(&self->end);
}

static struct runner *create_many(const struct load *load, const struct peer *peer, size_t threads)
{
	struct engines_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->peer = peer;
	self->count = threads;
	self->times_factor = load->engines / threads;
	self->load = *load;
	self->load.kind = LOAD_RECORDS;
	self->load.sockets /= load->engines;
	self->load.records /= load->engines;
	self->threads = runner_allocate(threads, sizeof(*self->threads));
	place(self, load->receiver);
	start(self);
	return &self->runner;
}

static bool suits_alone(const struct load *load)
{
	return load->engines > 1;
}

/* A thread for each engine with a runner of this peer. */
#define ENGINES(peer_each, its_name, its_title)                                \
	extern const struct peer peer_each;                                    \
	static struct runner *create_##peer_each(const struct load *load)      \
	{                                                                      \
		return create_many(load, &peer_each, load->engines);           \
	}                                                                      \
	static bool suits_##peer_each(const struct load *load)                 \
	{                                                                      \
		return (peer_each.loads & LOADS(LOAD_RECORDS)) &&              \
		       (peer_each.suits == NULL || peer_each.suits(load));     \
	}                                                                      \
	static const char *lacks_##peer_each(const struct load *load)          \
	{                                                                      \
		return peer_each.lacks ? peer_each.lacks(load) : NULL;         \
	}                                                                      \
	const struct peer peer_each##_engines = {.name = its_name,             \
						 .title = its_title,           \
						 .loads = LOADS(LOAD_ENGINES), \
						 .suits = suits_##peer_each,   \
						 .lacks = lacks_##peer_each,   \
						 .create = create_##peer_each}

#define ENGINES_ALONE(peer_each, its_name, its_title)                             \
	static struct runner *create_##peer_each##_alone(const struct load *load) \
	{                                                                         \
		return create_many(load, &peer_each, 1);                          \
	}                                                                         \
	const struct peer peer_each##_alone = {.name = its_name,                  \
					       .title = its_title,                \
					       .loads = LOADS(LOAD_ENGINES),      \
					       .suits = suits_alone,              \
					       .create = create_##peer_each##_alone}

ENGINES(peer_sluice, "sluice", "sluice");
ENGINES(peer_sluice_uring, "sluice-uring", "sluice on io_uring");
ENGINES(peer_sluice_epoll, "sluice-epoll", "sluice on epoll");
ENGINES(peer_gather, "gather", "gather by sendmsg(2)");
ENGINES(peer_send, "send", "send(2) each, epoll");
ENGINES(peer_ring, "ring", "liburing, used well");
ENGINES(peer_libuv, "libuv", "libuv, a loop each");
ENGINES(peer_asio_epoll, "asio-epoll", "Asio, a context each");

ENGINES_ALONE(peer_sluice, "sluice-alone", "sluice, one engine alone");
ENGINES_ALONE(peer_send, "send-alone", "send(2), one thread alone");
