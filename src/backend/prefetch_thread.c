/* SPDX-License-Identifier: MIT */
#include "backend/prefetch_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/backend.h"
#include "engine/state.h"

#define STEP (128u << 10)

struct sluice__workers {
	struct sluice_engine *engine;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sluice__fifo requests; /* to be done */
	struct sluice__fifo finished;
	bool stopping;
};

/* Read-ahead first, of the next window too; then one byte of each step: then all of it is there. */
static void fetch(const struct sluice__request *request)
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

static void work(struct sluice__workers *workers, struct sluice__request *request)
{
	fetch(request);
	pthread_mutex_lock(&workers->lock);
	sluice__fifo_push(&workers->finished, &request->link);
	pthread_mutex_unlock(&workers->lock);
	workers->engine->backend->wake(workers->engine);
}

static struct sluice__request *pop_request(struct sluice__fifo *fifo)
{
	return sluice__element(sluice__fifo_pop(fifo), struct sluice__request, link);
}

static void *run(void *token)
{
	struct sluice__workers *workers = token;

	for (;;) {
		struct sluice__request *request;

		pthread_mutex_lock(&workers->lock);
		while (sluice__fifo_is_empty(&workers->requests) && !workers->stopping)
			pthread_cond_wait(&workers->changed, &workers->lock);
		request = workers->stopping ? NULL : pop_request(&workers->requests);
		pthread_mutex_unlock(&workers->lock);
		if (!request)
			return NULL;
		work(workers, request);
	}
}

static int make(struct sluice_engine *engine, struct sluice__workers **ret_workers)
{
	struct sluice__workers *workers = sluice__allocate(engine, sizeof *workers);
	sigset_t all, before;
	int error;

	if (!workers)
		return -ENOMEM;
	workers->engine = engine;
	sluice__fifo_init(&workers->requests);
	sluice__fifo_init(&workers->finished);
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&workers->thread, NULL, run, workers);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		free(workers);
		return -error;
	}
	*ret_workers = workers;
	return 0;
}

int sluice__workers_start(struct sluice_engine *engine, struct sluice__workers **workers,
			  struct sluice__request *request)
{
	int error = *workers ? 0 : make(engine, workers);

	if (error)
		return error;
	pthread_mutex_lock(&(*workers)->lock);
	sluice__fifo_push(&(*workers)->requests, &request->link);
	pthread_cond_signal(&(*workers)->changed);
	pthread_mutex_unlock(&(*workers)->lock);
	return 0;
}

uint32_t sluice__workers_reap(struct sluice__workers *workers,
			      struct sluice__completion *completions, uint32_t max)
{
	uint32_t count = 0;

	pthread_mutex_lock(&workers->lock);
	while (!sluice__fifo_is_empty(&workers->finished) && count < max)
		completions[count++] = (struct sluice__completion){
			.request = pop_request(&workers->finished),
		};
	pthread_mutex_unlock(&workers->lock);
	return count;
}

void sluice__workers_stop(struct sluice__workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_signal(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	pthread_join(workers->thread, NULL);
	pthread_mutex_destroy(&workers->lock);
	pthread_cond_destroy(&workers->changed);
	free(workers);
}
