/* SPDX-License-Identifier: MIT */
/*
 * The thread pool that runs the callbacks of Begin and End. Threads are started on demand, up to
 * options.handler_threads_max, and end with the engine.
 *
 * The callbacks of one socket run one at a time, in the order in which their operations completed.
 * A callback that waits in End or sluice_async_result_wait lets the next one begin.
 */
#ifndef SLUICE_SRC_APM_CALLBACKS_H
#define SLUICE_SRC_APM_CALLBACKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct sluice__apm;
struct sluice__result;
struct sluice_engine;

struct sluice__callback_thread {
	struct sluice_engine *engine;
	pthread_t thread;
	struct sluice__apm *apm; /* of the socket whose callback runs; NULL: none */
};

struct sluice__callbacks {
	pthread_mutex_t lock; /* guards this struct and all results of the engine */
	pthread_cond_t work;  /* a thread was called, or the pool has ended */
	pthread_cond_t quiet; /* users has become 0 */
	struct sluice__callback_thread *threads;
	uint32_t thread_count;
	uint32_t idle;             /* waiting threads that were not called */
	uint32_t called;           /* threads that were called and have not woken yet */
	uint32_t signals;          /* of work, to be sent when the lock is released */
	uint32_t users;            /* sum over all sockets, see struct sluice__apm */
	struct sluice__fifo ready; /* struct sluice__apm: sockets whose next callback may run */
	bool ending;
};

void sluice__callbacks_init(struct sluice__callbacks *callbacks);
void sluice__callbacks_destroy(struct sluice__callbacks *callbacks);

void sluice__callbacks_lock(struct sluice__callbacks *callbacks);
void sluice__callbacks_unlock(struct sluice__callbacks *callbacks);

/* Starts the first thread, so that every callback can run. Returns 0 or -errno. Locked. */
int sluice__callbacks_reserve(struct sluice_engine *engine);
/* Queues the result's callback. Locked. */
void sluice__callbacks_queue(struct sluice__result *result);
/* Before the calling thread sleeps: if it runs a callback, the next one may begin. Unlocked. */
void sluice__callbacks_yield(void);
/* Whether the calling thread belongs to this engine's pool. */
bool sluice__callbacks_is_thread(const struct sluice_engine *engine);
/* Runs the remaining callbacks, waits until there are no users, joins the threads. Idempotent. */
void sluice__callbacks_end(struct sluice_engine *engine);

#endif
