/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <errno.h>
#include <pthread.h>
#include <sluice/engine.h>
#include <stdlib.h>
#include <time.h>

struct loader {
	struct sluice_engine *engine;
	load_done_fn *done;
	size_t pending; /* of the engine's thread */
	bool running;
	pthread_t thread;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct load_job *first;
	struct load_job **last;
	bool ending;
};

struct loader *loader_create(struct sluice_engine *engine, load_done_fn *done)
{
	struct loader *loader = calloc(1, sizeof(*loader));

	if (loader == NULL)
		return NULL;
	loader->engine = engine;
	loader->done = done;
	loader->last = &loader->first;
	pthread_mutex_init(&loader->lock, NULL);
	pthread_cond_init(&loader->changed, NULL);
	return loader;
}

/* The next job, or NULL when the loader ends. */
static struct load_job *take_job(struct loader *loader)
{
	struct load_job *job;

	pthread_mutex_lock(&loader->lock);
	while (loader->first == NULL && !loader->ending)
		pthread_cond_wait(&loader->changed, &loader->lock);
	job = loader->first;
	if (job != NULL) {
		loader->first = job->next;
		if (loader->first == NULL)
			loader->last = &loader->first;
	}
	pthread_mutex_unlock(&loader->lock);
	return job;
}

/* In the engine's thread. */
static void finish_job(struct sluice_engine *engine, void *token)
{
	struct load_job *job = token;
	struct loader *loader = job->loader;

	loader->pending--;
	loader->done(job);
}

static void *run_loader(void *argument)
{
	static const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
	struct loader *loader = argument;
	struct load_job *job;

	while ((job = take_job(loader)) != NULL) {
		load_file(&job->request, false, &job->loaded);
		while (sluice_post(loader->engine, finish_job, job) == -ENOMEM)
			nanosleep(&moment, NULL);
	}
	return NULL;
}

int loader_start(struct loader *loader, struct load_job *job)
{
	int error;

	if (!loader->running) {
		error = pthread_create(&loader->thread, NULL, run_loader, loader);
		if (error != 0)
			return -error;
		loader->running = true;
	}
	job->loader = loader;
	job->next = NULL;
	loader->pending++;
	pthread_mutex_lock(&loader->lock);
	*loader->last = job;
	loader->last = &job->next;
	pthread_cond_signal(&loader->changed);
	pthread_mutex_unlock(&loader->lock);
	return 0;
}

size_t loader_pending(const struct loader *loader)
{
	return loader->pending;
}

void loader_stop(struct loader *loader)
{
	if (!loader->running)
		return;
	pthread_mutex_lock(&loader->lock);
	loader->ending = true;
	pthread_cond_signal(&loader->changed);
	pthread_mutex_unlock(&loader->lock);
	pthread_join(loader->thread, NULL);
	loader->running = false;
}

void loader_destroy(struct loader *loader)
{
	if (loader == NULL)
		return;
	loader_stop(loader);
	pthread_cond_destroy(&loader->changed);
	pthread_mutex_destroy(&loader->lock);
	free(loader);
}
