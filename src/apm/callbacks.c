/* SPDX-License-Identifier: MIT */
#include "apm/callbacks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apm/apm.h"
#include "base/futex.h"
#include "engine/engine.h"

/*
 * One to run callbacks and one to watch it: whoever has one operation at a time causes no more to be
 * started, and so no allocation, after the first.
 */
#define FIRST_THREADS 2u

/* How often the watcher looks. */
#define WATCH_NS 1000000

/* Where /proc does not tell whether a thread sleeps, it counts as sleeping after so many looks. */
#define ROUNDS_UNTOLD 10

/* Which of the handlers this thread is. */
static __thread struct sluice__handler *self;

static void *run(void *token);

void sluice__handlers_init(struct sluice__handlers *handlers)
{
	pthread_mutex_init(&handlers->lock, NULL);
	pthread_cond_init(&handlers->quiet, NULL);
	handlers->ready_end = &handlers->ready;
}

void sluice__handlers_destroy(struct sluice__handlers *handlers)
{
	free(handlers->threads);
	pthread_cond_destroy(&handlers->quiet);
	pthread_mutex_destroy(&handlers->lock);
}

void sluice__handlers_lock(struct sluice__handlers *handlers)
{
	pthread_mutex_lock(&handlers->lock);
}

void sluice__handlers_unlock(struct sluice__handlers *handlers)
{
	const uint32_t *wake[SLUICE__WAKE_MAX];
	uint32_t count = handlers->waking;

	for (uint32_t i = 0; i < count; i++)
		wake[i] = handlers->wake[i];
	handlers->waking = 0;
	pthread_mutex_unlock(&handlers->lock);
	while (count-- > 0)
		sluice__futex_wake_all(wake[count]);
}

bool sluice__handlers_is_one(const struct sluice_engine *engine)
{
	return self && self->engine == engine;
}

/* ---- threads: started, called ---- */

static int start_thread(struct sluice_engine *engine)
{
	struct sluice__handlers *handlers = &engine->handlers;
	uint32_t max = engine->options.handler_threads_max;
	struct sluice__handler *handler;
	sigset_t all, before;
	int error;

	if (!handlers->threads)
		handlers->threads = sluice__allocate(engine, max * sizeof *handler);
	if (!handlers->threads)
		return -ENOMEM;
	handler = &handlers->threads[handlers->count];
	handler->engine = engine;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&handler->thread, NULL, run, handler);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return -error;
	handlers->count++;
	handlers->coming++;
	return 0;
}

int sluice__handlers_have(struct sluice_engine *engine)
{
	struct sluice__handlers *handlers = &engine->handlers;
	int error = 0;

	while (!error && handlers->count < FIRST_THREADS &&
	       handlers->count < engine->options.handler_threads_max)
		error = start_thread(engine);
	return handlers->count ? 0 : error;
}

static void call_idle(struct sluice__handlers *handlers)
{
	struct sluice__handler *handler = handlers->idle;

	handlers->idle = handler->next;
	handlers->coming++;
	if (handlers->watcher == handler)
		handlers->watcher = NULL;
	__atomic_store_n(&handler->called, 1, __ATOMIC_RELEASE);
	if (handlers->waking < SLUICE__WAKE_MAX)
		handlers->wake[handlers->waking++] = &handler->called;
	else
		sluice__futex_wake_all(&handler->called);
}

/* A thread for each line that wants one, and one to watch while lines wait behind a callback. */
static uint32_t wanted(const struct sluice__handlers *handlers)
{
	return handlers->ready_count + (handlers->behind && !handlers->watcher);
}

static void summon(struct sluice_engine *engine)
{
	struct sluice__handlers *handlers = &engine->handlers;

	while (wanted(handlers) > handlers->coming) {
		if (handlers->idle)
			call_idle(handlers);
		else if (handlers->count == engine->options.handler_threads_max ||
			 start_thread(engine) < 0)
			return; /* those that are busy will come by */
	}
}

/* ---- lines ---- */

static void make_ready(struct sluice__handlers *handlers, struct sluice__apm *apm)
{
	apm->ready = true;
	apm->ready_next = NULL;
	*handlers->ready_end = apm;
	handlers->ready_end = &apm->ready_next;
	handlers->ready_count++;
}

static struct sluice__apm *take_ready(struct sluice__handlers *handlers)
{
	struct sluice__apm *apm = handlers->ready;

	if (!apm)
		return NULL;
	handlers->ready = apm->ready_next;
	if (!handlers->ready)
		handlers->ready_end = &handlers->ready;
	handlers->ready_count--;
	apm->ready = false;
	return apm;
}

/* The thread no longer stands in the way of what is behind it. */
static void let_go(struct sluice__handlers *handlers, struct sluice__handler *handler)
{
	struct sluice__apm *apm = handler->apm;

	if (!apm || apm->runner != handler)
		return;
	apm->runner = NULL;
	if (!apm->callbacks)
		return;
	handlers->behind--;
	make_ready(handlers, apm);
}

void sluice__handlers_call(struct sluice__result *result)
{
	struct sluice_socket *socket = result->socket;
	struct sluice__handlers *handlers = &socket->engine->handlers;
	struct sluice__apm *apm = socket->apm;
	bool first = !apm->callbacks;

	result->calling = true;
	result->next = NULL;
	*apm->callbacks_end = result;
	apm->callbacks_end = &result->next;
	apm->users++;
	handlers->users++;
	if (!first)
		return; /* whoever comes for the first goes on with it */
	if (apm->runner)
		handlers->behind++;
	else
		make_ready(handlers, apm);
	summon(socket->engine);
}

void sluice__handlers_sleep(void)
{
	struct sluice_engine *engine;

	if (!self || (sluice__dead(self->engine) & SLUICE__DEAD_FORKED))
		return;
	engine = self->engine;
	sluice__handlers_lock(&engine->handlers);
	let_go(&engine->handlers, self);
	summon(engine);
	sluice__handlers_unlock(&engine->handlers);
}

/* ---- watching ---- */

/* Not merely without a processor: only a callback that has begun can sleep. */
static bool sleeps(const struct sluice__handler *handler, uint32_t rounds)
{
	char path[48], text[128];
	const char *state;
	ssize_t length;
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)handler->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return rounds >= ROUNDS_UNTOLD;
	length = read(fd, text, sizeof text - 1);
	close(fd);
	if (length <= 0)
		return rounds >= ROUNDS_UNTOLD;
	text[length] = '\0';
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

static bool is_in_the_way(const struct sluice__handler *handler)
{
	return handler->apm && handler->apm->runner == handler && handler->apm->callbacks;
}

/* Lets go the lines behind those that sleep, in the same callback as when it last looked. */
static void watch(struct sluice__handlers *handlers)
{
	for (uint32_t i = 0; i < handlers->count && handlers->behind; i++) {
		struct sluice__handler *handler = &handlers->threads[i];
		uint32_t job = handler->jobs;
		bool asleep;

		if (!is_in_the_way(handler))
			continue;
		if (handler->watched != job)
			handler->rounds = 0;
		handler->watched = job;
		if (handler->rounds++ == 0)
			continue;
		sluice__handlers_unlock(handlers);
		asleep = sleeps(handler, handler->rounds);
		sluice__handlers_lock(handlers);
		if (asleep && handler->jobs == job && is_in_the_way(handler))
			let_go(handlers, handler);
	}
}

/* ---- one thread ---- */

static void run_callback(struct sluice__handler *handler, struct sluice__apm *apm)
{
	struct sluice__handlers *handlers = &handler->engine->handlers;
	struct sluice__result *result = apm->callbacks;
	struct sluice_socket *socket = result->socket;

	apm->callbacks = result->next;
	apm->runner = handler;
	handler->apm = apm;
	handler->jobs++;
	if (apm->callbacks)
		handlers->behind++;
	else
		apm->callbacks_end = &apm->callbacks;
	summon(handler->engine);
	sluice__handlers_unlock(handlers);
	result->callback(sluice__handle_of(result));
	sluice__handlers_lock(handlers);
	let_go(handlers, handler);
	handler->apm = NULL;
	result->calling = false;
	sluice__apm_retire(result);
	sluice__apm_leave(socket);
}

/* The wait of an idle thread, which may be the watcher's. */
static void stand_by(struct sluice__handler *handler)
{
	struct sluice__handlers *handlers = &handler->engine->handlers;

	__atomic_store_n(&handler->called, 0, __ATOMIC_RELAXED);
	handler->next = handlers->idle;
	handlers->idle = handler;
	for (;;) {
		uint64_t until_ns = UINT64_MAX;

		if (handlers->watcher == handler && !handlers->behind)
			handlers->watcher = NULL;
		if (handlers->behind && !handlers->watcher)
			handlers->watcher = handler;
		if (handlers->watcher == handler)
			until_ns = sluice__now() + WATCH_NS;
		sluice__handlers_unlock(handlers);
		sluice__futex_wait(&handler->called, 0, until_ns);
		sluice__handlers_lock(handlers);
		if (handlers->watcher == handler) {
			watch(handlers);
			summon(handler->engine);
		}
		if (__atomic_load_n(&handler->called, __ATOMIC_ACQUIRE))
			return;
	}
}

static void *run(void *token)
{
	struct sluice__handler *handler = token;
	struct sluice__handlers *handlers = &handler->engine->handlers;

	self = handler;
	sluice__handlers_lock(handlers);
	handler->tid = gettid();
	handlers->coming--;
	for (;;) {
		struct sluice__apm *apm = take_ready(handlers);

		if (apm) {
			run_callback(handler, apm);
			continue;
		}
		if (handlers->ending && !handlers->users)
			break;
		stand_by(handler);
		handlers->coming--;
	}
	sluice__handlers_unlock(handlers);
	return NULL;
}

void sluice__handlers_end(struct sluice_engine *engine)
{
	struct sluice__handlers *handlers = &engine->handlers;
	uint32_t count;

	sluice__handlers_lock(handlers);
	handlers->ending = true;
	while (handlers->users)
		pthread_cond_wait(&handlers->quiet, &handlers->lock);
	while (handlers->idle)
		call_idle(handlers);
	count = handlers->count;
	handlers->count = 0;
	sluice__handlers_unlock(handlers);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(handlers->threads[i].thread, NULL);
}
