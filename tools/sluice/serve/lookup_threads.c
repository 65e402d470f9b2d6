/* SPDX-License-Identifier: MIT */
#include "serve/lookup_threads.h"

#include <errno.h>
#include <pthread.h>
#include <sluice/engine.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEPTH_MAX 16      /* leading directories that are compared, from the root */
#define WAITING_MAX 1024  /* jobs waiting for a thread */
#define WAITING_SHARE 256 /* of them, below one directory of the root */

struct lookup_threads {
	lookup_done_fn *done;
	lookup_drop_fn *drop;
	size_t threads_max;
	size_t handled; /* owned by the engine's thread */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	pthread_cond_t left;
	struct sluice_engine *engine; /* NULL: stopped */
	struct link waiting;
	size_t waiting_count;
	struct link running;
	size_t thread_count;
	size_t busy; /* running a lookup, or about to report its result */
	size_t posted;
	size_t references; /* one per thread, and one for the owner */
	size_t started;
};

struct lookup_threads *lookup_threads_create(struct sluice_engine *engine, size_t threads_max,
					     lookup_done_fn *done, lookup_drop_fn *drop)
{
	struct lookup_threads *threads = calloc(1, sizeof(*threads));

	if (threads == NULL)
		return NULL;
	threads->engine = engine;
	threads->threads_max = threads_max;
	threads->done = done;
	threads->drop = drop;
	threads->references = 1;
	list_init(&threads->waiting);
	list_init(&threads->running);
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->changed, NULL);
	pthread_cond_init(&threads->left, NULL);
	return threads;
}

static struct lookup_job *job_of(struct link *link)
{
	return LINK_OWNER(link, struct lookup_job, link);
}

/* Drops a reference, and the lock. */
static void release(struct lookup_threads *threads)
{
	bool last = --threads->references == 0;

	pthread_mutex_unlock(&threads->lock);
	if (!last)
		return;
	pthread_cond_destroy(&threads->left);
	pthread_cond_destroy(&threads->changed);
	pthread_mutex_destroy(&threads->lock);
	free(threads);
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
static size_t share_of(const struct lookup_threads *threads, size_t depth)
{
	size_t share = threads->threads_max / 2;
	size_t less = threads->threads_max / 8 * (depth > 1 ? depth - 1 : 0);

	return share > less + 1 ? share - less : 1;
}

/* Whether a thread may start the job now. */
static bool may_run(struct lookup_threads *threads, const struct lookup_job *job)
{
	size_t running[DEPTH_MAX + 1] = {0};
	const char *path = job->request.path;

	for (struct link *link = threads->running.next; link != &threads->running;
	     link = link->next) {
		const char *other = job_of(link)->request.path;
		size_t depth = shared_depth(path, other);

		if (lies_in_root(path) && lies_in_root(other))
			running[0]++;
		for (; depth > 0; depth--)
			running[depth]++;
	}
	for (size_t depth = 0; depth <= DEPTH_MAX; depth++) {
		if (running[depth] > 0 && running[depth] >= share_of(threads, depth))
			return false;
	}
	return true;
}

/* Whether one more job may wait. Jobs below one directory leave space for others. */
static bool may_wait(struct lookup_threads *threads, const struct lookup_job *job)
{
	const char *path = job->request.path;
	size_t competing = 0;

	if (threads->waiting_count < WAITING_SHARE)
		return true;
	if (threads->waiting_count >= WAITING_MAX)
		return false;
	for (struct link *link = threads->waiting.next; link != &threads->waiting;
	     link = link->next) {
		const char *other = job_of(link)->request.path;

		competing += shared_depth(path, other) > 0 ||
			     (lies_in_root(path) && lies_in_root(other));
	}
	return competing < WAITING_SHARE;
}

/* The threads */

static struct lookup_job *first_that_may_run(struct lookup_threads *threads)
{
	for (struct link *link = threads->waiting.next; link != &threads->waiting;
	     link = link->next) {
		if (may_run(threads, job_of(link)))
			return job_of(link);
	}
	return NULL;
}

/* The next job, or NULL if the threads was stopped. With the lock. */
static struct lookup_job *take_job(struct lookup_threads *threads)
{
	struct lookup_job *job;

	while (threads->engine != NULL) {
		job = first_that_may_run(threads);
		if (job != NULL) {
			list_remove(&job->link);
			threads->waiting_count--;
			list_append(&threads->running, &job->link);
			threads->busy++;
			return job;
		}
		pthread_cond_wait(&threads->changed, &threads->lock);
	}
	return NULL;
}

/* In the engine's thread. */
static void finish_job(struct sluice_engine *engine, void *token)
{
	struct lookup_job *job = token;
	struct lookup_threads *threads = job->threads;

	threads->handled++;
	threads->done(job);
}

/* Passes the job to the engine's thread, or drops it if that has stopped. With the lock. */
static void deliver(struct lookup_threads *threads, struct lookup_job *job)
{
	static const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};

	list_remove(&job->link);
	while (threads->engine != NULL) {
		if (sluice_post(threads->engine, finish_job, job) != -ENOMEM) {
			threads->posted++;
			return;
		}
		pthread_mutex_unlock(&threads->lock);
		nanosleep(&moment, NULL);
		pthread_mutex_lock(&threads->lock);
	}
	lookup_result_dispose(&job->result);
	threads->drop(job);
}

static void *run_lookup_thread(void *argument)
{
	struct lookup_threads *threads = argument;
	struct lookup_job *job;

	pthread_mutex_lock(&threads->lock);
	while ((job = take_job(threads)) != NULL) {
		pthread_mutex_unlock(&threads->lock);
		file_lookup(&job->request, false, &job->result);
		pthread_mutex_lock(&threads->lock);
		deliver(threads, job);
		threads->busy--;
	}
	threads->thread_count--;
	pthread_cond_signal(&threads->left);
	release(threads);
	return NULL;
}

/* With the lock. */
static int add_thread(struct lookup_threads *threads)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run_lookup_thread, threads);

	if (error != 0)
		return -error;
	/* A hanging thread is never joined. */
	pthread_detach(thread);
	threads->thread_count++;
	threads->references++;
	return 0;
}

/* Starts a thread for a job that has to wait, if allowed. With the lock. */
static int find_thread(struct lookup_threads *threads, const struct lookup_job *job)
{
	size_t idle = threads->thread_count - threads->busy;
	int error = 0;

	if (!may_run(threads, job))
		return 0;
	if (idle < threads->waiting_count && threads->thread_count < threads->threads_max)
		error = add_thread(threads);
	/* All threads: a woken one may get another job, which hangs. */
	pthread_cond_broadcast(&threads->changed);
	return threads->thread_count > 0 ? 0 : error;
}

int lookup_threads_start(struct lookup_threads *threads, struct lookup_job *job)
{
	int error = -EAGAIN;

	job->threads = threads;
	pthread_mutex_lock(&threads->lock);
	if (may_wait(threads, job)) {
		list_append(&threads->waiting, &job->link);
		threads->waiting_count++;
		threads->started++;
		error = find_thread(threads, job);
		if (error != 0) {
			list_remove(&job->link);
			threads->waiting_count--;
			threads->started--;
		}
	}
	pthread_mutex_unlock(&threads->lock);
	return error;
}

size_t lookup_threads_pending(struct lookup_threads *threads)
{
	size_t pending;

	pthread_mutex_lock(&threads->lock);
	pending = (threads->engine != NULL ? threads->started : threads->posted) - threads->handled;
	pthread_mutex_unlock(&threads->lock);
	return pending;
}

size_t lookup_threads_stop(struct lookup_threads *threads)
{
	size_t busy;

	pthread_mutex_lock(&threads->lock);
	threads->engine = NULL;
	while (!list_is_empty(&threads->waiting)) {
		struct lookup_job *job = job_of(threads->waiting.next);

		list_remove(&job->link);
		threads->drop(job);
	}
	threads->waiting_count = 0;
	pthread_cond_broadcast(&threads->changed);
	while (threads->thread_count > threads->busy)
		pthread_cond_wait(&threads->left, &threads->lock);
	busy = threads->busy;
	pthread_mutex_unlock(&threads->lock);
	return busy;
}

void lookup_threads_destroy(struct lookup_threads *threads)
{
	if (threads == NULL)
		return;
	lookup_threads_stop(threads);
	pthread_mutex_lock(&threads->lock);
	release(threads);
}
