/* SPDX-License-Identifier: MIT */
/*
 * The handler threads: callbacks of Begin and End run there. A bounded pool, each thread started
 * when a callback finds none idle, all of them ended with the engine.
 *
 * The callbacks of a socket stand in a line of its own, and one thread at a time works on it, so
 * that they begin in order. A thread that is going to sleep inside of our own calls lets the line
 * go; where it sleeps in any other way, an idle thread that watches finds out within a few
 * milliseconds, and takes the line over.
 */
#ifndef SLUICE_SRC_APM_CALLBACKS_H
#define SLUICE_SRC_APM_CALLBACKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sluice__apm;
struct sluice__result;
struct sluice_engine;

/* One thread. */
struct sluice__handler {
	struct sluice_engine *engine;
	pthread_t thread;
	pid_t tid;
	uint32_t called;              /* atomic, a futex: there is something to do */
	struct sluice__apm *apm;      /* whose callback it runs */
	uint32_t jobs;                /* begun: tells one from the next */
	uint32_t watched;             /* the job that the watcher saw when it last came by */
	uint32_t rounds;              /* in how many rounds it saw that one */
	struct sluice__handler *next; /* idle */
};

#define SLUICE__WAKE_MAX 4

struct sluice__handlers {
	pthread_mutex_t lock; /* guards this, and all results */
	pthread_cond_t quiet; /* the last user has left */
	struct sluice__handler *threads;
	uint32_t count;
	uint32_t coming; /* called or started, not yet here */
	struct sluice__handler *idle;
	struct sluice__handler *watcher; /* an idle one that looks whether others sleep */
	struct sluice__apm *ready;       /* lines that want a thread */
	struct sluice__apm **ready_end;
	uint32_t ready_count;
	uint32_t behind;                        /* lines that wait behind a running callback */
	uint32_t users;                         /* of all sockets */
	uint32_t waking;                        /* of wake in use */
	const uint32_t *wake[SLUICE__WAKE_MAX]; /* to be woken behind the lock */
	bool ending;
};

void sluice__handlers_init(struct sluice__handlers *handlers);
void sluice__handlers_destroy(struct sluice__handlers *handlers);

void sluice__handlers_lock(struct sluice__handlers *handlers);
/* Wakes those who were called: before, they would only run into the lock. */
void sluice__handlers_unlock(struct sluice__handlers *handlers);

/* There is one thread at least, if need be started now. 0 or -errno. Under the lock. */
int sluice__handlers_have(struct sluice_engine *engine);
/* The result's callback is to run. Under the lock. */
void sluice__handlers_call(struct sluice__result *result);
/* The calling thread is about to sleep: where it is a handler, others may go on. Without locks. */
void sluice__handlers_sleep(void);
/* Whether the calling thread is one of this engine's. */
bool sluice__handlers_is_one(const struct sluice_engine *engine);
/* Runs what is left, waits for whoever is inside, ends the threads. Twice is harmless. */
void sluice__handlers_end(struct sluice_engine *engine);

#endif
