/* SPDX-License-Identifier: MIT */
#include "apm/callbacks.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "apm/apm.h"
#include "base/assert.h"
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

/* The calling thread's entry, if it belongs to a pool. */
static __thread struct sluice__callback_thread *self;

void sluice__callbacks_init(struct sluice__callbacks *callbacks)
{
	pthread_mutex_init(&callbacks->lock, NULL);
	pthread_cond_init(&callbacks->work, NULL);
	pthread_cond_init(&callbacks->quiet, NULL);
	sluice__fifo_init(&callbacks->ready);
}

void sluice__callbacks_destroy(struct sluice__callbacks *callbacks)
{
	sluice__assert(callbacks->thread_count == 0);
	sluice__assert(callbacks->users == 0);
	free(callbacks->threads);
	pthread_cond_destroy(&callbacks->quiet);
	pthread_cond_destroy(&callbacks->work);
	pthread_mutex_destroy(&callbacks->lock);
}

void sluice__callbacks_lock(struct sluice__callbacks *callbacks)
{
	pthread_mutex_lock(&callbacks->lock);
}

/* Signals after unlocking: the threads would only wait for the lock. */
void sluice__callbacks_unlock(struct sluice__callbacks *callbacks)
{
	uint32_t signals = callbacks->signals;

	callbacks->signals = 0;
	pthread_mutex_unlock(&callbacks->lock);
	while (signals-- > 0)
		pthread_cond_signal(&callbacks->work);
}

bool sluice__callbacks_is_thread(const struct sluice_engine *engine)
{
	return self && self->engine == engine;
}

/* ---- threads ---- */

static void *run_thread(void *token);

static int start_thread(struct sluice_engine *engine)
{
	struct sluice__callbacks *callbacks = engine->callbacks;
	uint32_t max = engine->options.handler_threads_max;
	struct sluice__callback_thread *thread;
	sigset_t all, before;
	int error;

	sluice__assert(callbacks->thread_count < max);
	if (!callbacks->threads)
		callbacks->threads = sluice__allocate(engine, max * sizeof *thread);
	if (!callbacks->threads)
		return -ENOMEM;
	thread = &callbacks->threads[callbacks->thread_count];
	thread->engine = engine;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread->thread, NULL, run_thread, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return -error;
	callbacks->thread_count++;
	return 0;
}

int sluice__callbacks_reserve(struct sluice_engine *engine)
{
	return engine->callbacks->thread_count ? 0 : start_thread(engine);
}

/* If no thread can be added, a busy one runs the callback after its own. */
static void call_thread(struct sluice_engine *engine)
{
	struct sluice__callbacks *callbacks = engine->callbacks;

	if (callbacks->idle) {
		callbacks->idle--;
		callbacks->called++;
		callbacks->signals++;
	} else if (callbacks->thread_count < engine->options.handler_threads_max) {
		start_thread(engine);
	}
	sluice__assert(callbacks->idle + callbacks->called <= callbacks->thread_count);
}

/* ---- the callbacks of a socket ---- */

static void make_socket_ready(struct sluice__callbacks *callbacks, struct sluice__apm *apm)
{
	sluice__assert(!apm->runner);
	sluice__assert(!sluice__fifo_is_empty(&apm->callbacks));
	sluice__fifo_push(&callbacks->ready, &apm->ready_link);
}

void sluice__callbacks_queue(struct sluice__result *result)
{
	struct sluice_socket *socket = result->socket;
	struct sluice__callbacks *callbacks = socket->engine->callbacks;
	struct sluice__apm *apm = socket->apm;
	bool first = sluice__fifo_is_empty(&apm->callbacks);

	sluice__assert(!result->calling && result->callback);
	result->calling = true;
	sluice__fifo_push(&apm->callbacks, &result->link);
	apm->users++;
	callbacks->users++;
	if (!first || apm->runner)
		return; /* a thread was called already, or the running one continues with it */
	make_socket_ready(callbacks, apm);
	call_thread(socket->engine);
}

/* The thread's callback no longer holds back the next one. Returns true if there is one. */
static bool release_socket(struct sluice__callback_thread *thread)
{
	struct sluice__apm *apm = thread->apm;

	if (!apm || apm->runner != thread)
		return false;
	apm->runner = NULL;
	if (sluice__fifo_is_empty(&apm->callbacks))
		return false;
	make_socket_ready(thread->engine->callbacks, apm);
	return true;
}

void sluice__callbacks_yield(void)
{
	struct sluice_engine *engine;

	if (!self || (sluice__dead(self->engine) & SLUICE__DEAD_FORKED))
		return;
	engine = self->engine;
	sluice__callbacks_lock(engine->callbacks);
	if (release_socket(self))
		call_thread(engine);
	sluice__callbacks_unlock(engine->callbacks);
}

/* ---- one thread ---- */

static void run_callback(struct sluice__callback_thread *thread, struct sluice__apm *apm)
{
	struct sluice__callbacks *callbacks = thread->engine->callbacks;
	struct sluice__result *result =
		sluice__element(sluice__fifo_pop(&apm->callbacks), struct sluice__result, link);
	struct sluice_socket *socket = result->socket;

	sluice__assert(result->calling && socket->apm == apm);
	apm->runner = thread;
	thread->apm = apm;
	sluice__callbacks_unlock(callbacks);
	result->callback(sluice__handle_of(result));
	sluice__callbacks_lock(callbacks);
	release_socket(thread); /* this thread takes the next ready socket itself */
	thread->apm = NULL;
	result->calling = false;
	sluice__apm_retire(result);
	sluice__apm_leave(socket);
}

static bool is_pool_over(const struct sluice__callbacks *callbacks)
{
	return callbacks->ending && !callbacks->users;
}

static void wait_until_called(struct sluice__callbacks *callbacks)
{
	callbacks->idle++;
	while (!callbacks->called && !is_pool_over(callbacks))
		pthread_cond_wait(&callbacks->work, &callbacks->lock);
	if (callbacks->called)
		callbacks->called--;
	else
		callbacks->idle--;
}

/* Returns NULL when the pool has ended. */
static struct sluice__apm *next_socket(struct sluice__callbacks *callbacks)
{
	while (sluice__fifo_is_empty(&callbacks->ready)) {
		if (is_pool_over(callbacks))
			return NULL;
		wait_until_called(callbacks);
	}
	return sluice__element(sluice__fifo_pop(&callbacks->ready), struct sluice__apm, ready_link);
}

static void *run_thread(void *token)
{
	struct sluice__callback_thread *thread = token;
	struct sluice__callbacks *callbacks = thread->engine->callbacks;
	struct sluice__apm *apm;

	self = thread;
	sluice__callbacks_lock(callbacks);
	while ((apm = next_socket(callbacks)))
		run_callback(thread, apm);
	sluice__callbacks_unlock(callbacks);
	return NULL;
}

void sluice__callbacks_end(struct sluice_engine *engine)
{
	struct sluice__callbacks *callbacks = engine->callbacks;
	uint32_t count;

	sluice__assert(!sluice__callbacks_is_thread(engine));
	sluice__callbacks_lock(callbacks);
	callbacks->ending = true;
	while (callbacks->users)
		pthread_cond_wait(&callbacks->quiet, &callbacks->lock);
	count = callbacks->thread_count;
	callbacks->thread_count = 0;
	pthread_cond_broadcast(&callbacks->work);
	sluice__callbacks_unlock(callbacks);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(callbacks->threads[i].thread, NULL);
}
