/* SPDX-License-Identifier: MIT */
#include "serve/loader.h"

#include <errno.h>
#include <pthread.h>
#include <sluice/engine.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEPTH_MAX 16      /* leading directories that are compared, from the root */
#define WAITING_MAX 1024  /* jobs waiting for a thread */
#define WAITING_SHARE 256 /* of them, below one directory of the root */

struct loader {
	load_done_fn *done;
	load_drop_fn *drop;
	size_t threads_max;
	size_t handled; /* owned by the engine's thread */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	pthread_cond_t left;
	struct sluice_engine *engine; /* NULL: stopped */
	struct link waiting;
	size_t waiting_count;
	struct link running;
	size_t threads;
	size_t busy; /* running a lookup, or about to report its result */
	size_t posted;
	size_t references; /* one per thread, and one for the owner */
	size_t started;
};

struct loader *loader_create(struct sluice_engine *engine, size_t threads_max, load_done_fn *done,
			     load_drop_fn *drop)
{
	struct loader *loader = calloc(1, sizeof(*loader));

	if (loader == NULL)
		return NULL;
	loader->engine = engine;
	loader->threads_max = threads_max;
	loader->done = done;
	loader->drop = drop;
	loader->references = 1;
	list_init(&loader->waiting);
	list_init(&loader->running);
	pthread_mutex_init(&loader->lock, NULL);
	pthread_cond_init(&loader->changed, NULL);
	pthread_cond_init(&loader->left, NULL);
	return loader;
}

static struct load_job *job_of(struct link *link)
{
	return LINK_OWNER(link, struct load_job, link);
}

/* Drops a reference, and the lock. */
static void release(struct loader *loader)
{
	bool last = --loader->references == 0;

	pthread_mutex_unlock(&loader->lock);
	if (!last)
		return;
	pthread_cond_destroy(&loader->left);
	pthread_cond_destroy(&loader->changed);
	pthread_mutex_destroy(&loader->lock);
	free(loader);
}

/* Places */

/* How many directories two paths have in common, apart from the root. */
static size_t shared_depth(const char *path, const char *other)
{
	size_t depth = 0;

	for (size_t i = 1; path[i] != '\0' && path[i] == other[i] && depth < DEPTH_MAX; i++)
		depth += path[i] == '/';
	return depth;
}

static bool lies_in_root(const char *path)
{
	return strchr(path + 1, '/') == NULL;
}

/*
 * How many threads the lookups below a directory at this depth may use; 0 is for files of the root.
 */
static size_t share_of(const struct loader *loader, size_t depth)
{
	size_t share = loader->threads_max / 2;
	size_t less = loader->threads_max / 8 * (depth > 1 ? depth - 1 : 0);

	return share > less + 1 ? share - less : 1;
}

/* Whether a thread may start the job now. */
static bool may_run(struct loader *loader, const struct load_job *job)
{
	size_t running[DEPTH_MAX + 1] = {0};
	const char *path = job->request.path;

	for (struct link *link = loader->running.next; link != &loader->running;
	     link = link->next) {
		const char *other = job_of(link)->request.path;
		size_t depth = shared_depth(path, other);

		if (lies_in_root(path) && lies_in_root(other))
			running[0]++;
		for (; depth > 0; depth--)
			running[depth]++;
	}
	for (size_t depth = 0; depth <= DEPTH_MAX; depth++) {
		if (running[depth] > 0 && running[depth] >= share_of(loader, depth))
			return false;
	}
	return true;
}

/* Whether one more job may wait. Jobs below one directory leave space for others. */
static bool may_wait(struct loader *loader, const struct load_job *job)
{
	const char *path = job->request.path;
	size_t beside = 0;

	if (loader->waiting_count < WAITING_SHARE)
		return true;
	if (loader->waiting_count >= WAITING_MAX)
		return false;
	for (struct link *link = loader->waiting.next; link != &loader->waiting;
	     link = link->next) {
		const char *other = job_of(link)->request.path;

		beside += shared_depth(path, other) > 0 ||
			  (lies_in_root(path) && lies_in_root(other));
	}
	return beside < WAITING_SHARE;
}

/* The threads */

static struct load_job *first_that_may_run(struct loader *loader)
{
	for (struct link *link = loader->waiting.next; link != &loader->waiting;
	     link = link->next) {
		if (may_run(loader, job_of(link)))
			return job_of(link);
	}
	return NULL;
}

/* The next job, or NULL if the loader was stopped. With the lock. */
static struct load_job *take_job(struct loader *loader)
{
	struct load_job *job;

	while (loader->engine != NULL) {
		job = first_that_may_run(loader);
		if (job != NULL) {
			list_remove(&job->link);
			loader->waiting_count--;
			list_append(&loader->running, &job->link);
			loader->busy++;
			return job;
		}
		pthread_cond_wait(&loader->changed, &loader->lock);
	}
	return NULL;
}

/* In the engine's thread. */
static void finish_job(struct sluice_engine *engine, void *token)
{
	struct load_job *job = token;
	struct loader *loader = job->loader;

	loader->handled++;
	loader->done(job);
}

/* Passes the job to the engine's thread, or drops it if that has stopped. With the lock. */
static void deliver(struct loader *loader, struct load_job *job)
{
	static const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};

	list_remove(&job->link);
	while (loader->engine != NULL) {
		if (sluice_post(loader->engine, finish_job, job) != -ENOMEM) {
			loader->posted++;
			return;
		}
		pthread_mutex_unlock(&loader->lock);
		nanosleep(&moment, NULL);
		pthread_mutex_lock(&loader->lock);
	}
	loaded_dispose(&job->loaded);
	loader->drop(job);
}

static void *run_loader(void *argument)
{
	struct loader *loader = argument;
	struct load_job *job;

	pthread_mutex_lock(&loader->lock);
	while ((job = take_job(loader)) != NULL) {
		pthread_mutex_unlock(&loader->lock);
		load_file(&job->request, false, &job->loaded);
		pthread_mutex_lock(&loader->lock);
		deliver(loader, job);
		loader->busy--;
	}
	loader->threads--;
	pthread_cond_signal(&loader->left);
	release(loader);
	return NULL;
}

/* With the lock. */
static int add_thread(struct loader *loader)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run_loader, loader);

	if (error != 0)
		return -error;
	/* A hanging thread is never joined. */
	pthread_detach(thread);
	loader->threads++;
	loader->references++;
	return 0;
}

/* Starts a thread for a job that has to wait, if allowed. With the lock. */
static int find_thread(struct loader *loader, const struct load_job *job)
{
	size_t idle = loader->threads - loader->busy;
	int error = 0;

	if (!may_run(loader, job))
		return 0;
	if (idle < loader->waiting_count && loader->threads < loader->threads_max)
		error = add_thread(loader);
	/* All threads: a woken one may get another job, which hangs. */
	pthread_cond_broadcast(&loader->changed);
	return loader->threads > 0 ? 0 : error;
}

int loader_start(struct loader *loader, struct load_job *job)
{
	int error = -EAGAIN;

	job->loader = loader;
	pthread_mutex_lock(&loader->lock);
	if (may_wait(loader, job)) {
		list_append(&loader->waiting, &job->link);
		loader->waiting_count++;
		loader->started++;
		error = find_thread(loader, job);
		if (error != 0) {
			list_remove(&job->link);
			loader->waiting_count--;
			loader->started--;
		}
	}
	pthread_mutex_unlock(&loader->lock);
	return error;
}

size_t loader_pending(struct loader *loader)
{
	size_t pending;

	pthread_mutex_lock(&loader->lock);
	pending = (loader->engine != NULL ? loader->started : loader->posted) - loader->handled;
	pthread_mutex_unlock(&loader->lock);
	return pending;
}

size_t loader_stop(struct loader *loader)
{
	size_t busy;

	pthread_mutex_lock(&loader->lock);
	loader->engine = NULL;
	while (!list_is_empty(&loader->waiting)) {
		struct load_job *job = job_of(loader->waiting.next);

		list_remove(&job->link);
		loader->drop(job);
	}
	loader->waiting_count = 0;
	pthread_cond_broadcast(&loader->changed);
	while (loader->threads > loader->busy)
		pthread_cond_wait(&loader->left, &loader->lock);
	busy = loader->busy;
	pthread_mutex_unlock(&loader->lock);
	return busy;
}

void loader_destroy(struct loader *loader)
{
	if (loader == NULL)
		return;
	loader_stop(loader);
	pthread_mutex_lock(&loader->lock);
	release(loader);
}
