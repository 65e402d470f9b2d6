/* SPDX-License-Identifier: MIT */
#include "backend/prefetch_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/state.h"

#define STEP (128u << 10) /* bytes; one byte of each step is read */

struct sluice__prefetcher {
	struct sluice_engine *engine;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sluice__fifo requests; /* not started yet */
	struct sluice__fifo finished;
	bool stopping;
};

/*
 * Starts read-ahead for this window and the next, then reads the last byte of each step, which
 * blocks until the window is in the page cache.
 */
static void prefetch_window(const struct sluice__request *request)
{
	uint64_t end = request->offset + request->length;
	char byte;

	posix_fadvise(request->fd, (off_t)request->offset, 2 * (off_t)request->length,
		      POSIX_FADV_WILLNEED);
	for (uint64_t at = request->offset; at < end;) {
		at += end - at < STEP ? end - at : STEP;
		if (pread(request->fd, &byte, 1, (off_t)at - 1) <= 0)
			break;
	}
}

static void prefetch_request(struct sluice__prefetcher *prefetcher, struct sluice__request *request)
{
	prefetch_window(request);
	pthread_mutex_lock(&prefetcher->lock);
	sluice__fifo_push(&prefetcher->finished, &request->link);
	pthread_mutex_unlock(&prefetcher->lock);
	prefetcher->engine->backend->wake(prefetcher->engine);
}

static struct sluice__request *pop_request(struct sluice__fifo *fifo)
{
	return sluice__element(sluice__fifo_pop(fifo), struct sluice__request, link);
}

static void *prefetch_thread_run(void *token)
{
	struct sluice__prefetcher *prefetcher = token;

	for (;;) {
		struct sluice__request *request;

		pthread_mutex_lock(&prefetcher->lock);
		while (sluice__fifo_is_empty(&prefetcher->requests) && !prefetcher->stopping)
			pthread_cond_wait(&prefetcher->changed, &prefetcher->lock);
		request = prefetcher->stopping ? NULL : pop_request(&prefetcher->requests);
		pthread_mutex_unlock(&prefetcher->lock);
		if (!request)
			return NULL;
		prefetch_request(prefetcher, request);
	}
}

static int prefetch_thread_create(struct sluice_engine *engine,
				  struct sluice__prefetcher **ret_prefetcher)
{
	struct sluice__prefetcher *prefetcher = sluice__allocate(engine, sizeof *prefetcher);
	sigset_t all, before;
	int error;

	if (!prefetcher)
		return -ENOMEM;
	prefetcher->engine = engine;
	sluice__fifo_init(&prefetcher->requests);
	sluice__fifo_init(&prefetcher->finished);
	pthread_mutex_init(&prefetcher->lock, NULL);
	pthread_cond_init(&prefetcher->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&prefetcher->thread, NULL, prefetch_thread_run, prefetcher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		free(prefetcher);
		return -error;
	}
	*ret_prefetcher = prefetcher;
	return 0;
}

int sluice__prefetcher_start(struct sluice_engine *engine, struct sluice__prefetcher **prefetcher,
			     struct sluice__request *request)
{
	int error;

	sluice__assert_owner(engine);
	error = *prefetcher ? 0 : prefetch_thread_create(engine, prefetcher);
	if (error)
		return error;
	pthread_mutex_lock(&(*prefetcher)->lock);
	sluice__fifo_push(&(*prefetcher)->requests, &request->link);
	pthread_cond_signal(&(*prefetcher)->changed);
	pthread_mutex_unlock(&(*prefetcher)->lock);
	return 0;
}

uint32_t sluice__prefetcher_reap(struct sluice__prefetcher *prefetcher,
				 struct sluice__completion *completions, uint32_t max)
{
	uint32_t count = 0;

	pthread_mutex_lock(&prefetcher->lock);
	while (!sluice__fifo_is_empty(&prefetcher->finished) && count < max)
		completions[count++] = (struct sluice__completion){
			.request = pop_request(&prefetcher->finished),
		};
	pthread_mutex_unlock(&prefetcher->lock);
	return count;
}

void sluice__prefetcher_stop(struct sluice__prefetcher *prefetcher)
{
	pthread_mutex_lock(&prefetcher->lock);
	prefetcher->stopping = true;
	pthread_cond_signal(&prefetcher->changed);
	pthread_mutex_unlock(&prefetcher->lock);
	pthread_join(prefetcher->thread, NULL);
	pthread_mutex_destroy(&prefetcher->lock);
	pthread_cond_destroy(&prefetcher->changed);
	free(prefetcher);
}
