/* SPDX-License-Identifier: MIT */
#include "transfer/work.h"

#include <signal.h>
#include <sluice/engine.h>
#include <stddef.h>

static void *run(void *token)
{
	struct work *work = token;

	pthread_mutex_lock(&work->lock);
	while (!work->ending) {
		if (work->job == NULL) {
			pthread_cond_wait(&work->changed, &work->lock);
			continue;
		}
		pthread_mutex_unlock(&work->lock);
		work->job(work->token);
		pthread_mutex_lock(&work->lock);
		work->job = NULL;
		pthread_cond_broadcast(&work->changed);
		sluice_engine_wake(work->engine);
	}
	pthread_mutex_unlock(&work->lock);
	return NULL;
}

/* Signals go to the thread that runs the engine: they do not interrupt a job. */
static bool start_thread(struct work *work)
{
	sigset_t all, before;

	if (work->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	work->started = pthread_create(&work->thread, NULL, run, work) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return work->started;
}

void work_start(struct work *work, struct sluice_engine *engine, work_fn *job, void *token)
{
	work->engine = engine;
	work->ending = false;
	if (!start_thread(work)) {
		job(token);
		return;
	}
	pthread_mutex_lock(&work->lock);
	work->token = token;
	work->job = job;
	pthread_cond_broadcast(&work->changed);
	pthread_mutex_unlock(&work->lock);
}

bool work_is_over(struct work *work)
{
	bool over;

	pthread_mutex_lock(&work->lock);
	over = work->job == NULL;
	pthread_mutex_unlock(&work->lock);
	return over;
}

void work_wait(struct work *work)
{
	pthread_mutex_lock(&work->lock);
	while (work->job != NULL)
		pthread_cond_wait(&work->changed, &work->lock);
	pthread_mutex_unlock(&work->lock);
}

void work_stop(struct work *work)
{
	if (!work->started)
		return;
	work_wait(work);
	pthread_mutex_lock(&work->lock);
	work->ending = true;
	pthread_cond_broadcast(&work->changed);
	pthread_mutex_unlock(&work->lock);
	pthread_join(work->thread, NULL);
	work->started = false;
}
