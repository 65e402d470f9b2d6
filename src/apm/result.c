/* SPDX-License-Identifier: MIT */
/*
 * Results of Begin and End, pooled per socket. A result returns to the pool when its operation has
 * completed, its End was called, its callback has returned, and no thread is inside End or wait.
 * The pool reuses the oldest first, so that a second End still recognises a recent one.
 */
#include <errno.h>
#include <stdlib.h>

#include "apm/apm.h"
#include "apm/callbacks.h"
#include "base/assert.h"
#include "base/futex.h"
#include "base/queue.h"
#include "engine/apm_calls.h"
#include "engine/fork.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

#define SLAB_FIRST 32u

static sluice_completed_fn result_completed;

static struct sluice__callbacks *callbacks_of(const struct sluice_socket *socket)
{
	return socket->engine->callbacks;
}

/* ---- the pool ---- */

static int make_results(struct sluice_socket *socket)
{
	struct sluice__apm *apm = socket->apm;
	struct sluice__results *last = apm->slabs;
	uint32_t count = last ? 2 * last->count : SLAB_FIRST;
	struct sluice__results *slab =
		sluice__allocate(socket->engine, sizeof *slab + count * sizeof *slab->results);

	if (!slab)
		return -ENOMEM;
	slab->next = last;
	slab->count = count;
	for (uint32_t i = 0; i < count; i++)
		slab->results[i].socket = socket;
	if (sluice__handles_make(slab->results, count) < 0) {
		free(slab);
		return -ENOMEM;
	}
	for (uint32_t i = count; i-- > 0;)
		sluice__pool_put(&apm->unused, &slab->results[i].link);
	__atomic_store_n(&apm->slabs, slab, __ATOMIC_RELEASE);
	return 0;
}

/* ---- the end of a socket, and the exit of the owner ---- */

static bool is_apm_quiet(const struct sluice_socket *socket)
{
	const struct sluice__apm *apm = socket->apm;
	uint32_t users;

	sluice__callbacks_lock(callbacks_of(socket));
	users = apm->users + apm->running;
	sluice__callbacks_unlock(callbacks_of(socket));
	return users == 0;
}

/* Destroys a connection whose Begin was never ended. */
static void drop_accepted(const struct sluice__result *result)
{
	struct sluice_socket *accepted = result->args.accept_socket;

	if (result->operation == SLUICE_OPERATION_ACCEPT && !result->ended && accepted)
		sluice__intents_post(accepted, SLUICE__WANT_DESTROY);
}

static void free_apm(struct sluice_socket *socket)
{
	struct sluice__apm *apm = socket->apm;
	struct sluice__results *slab;

	while ((slab = apm->slabs)) {
		/* When the engine ends, it destroys all sockets anyway. */
		for (uint32_t i = 0; i < slab->count && !sluice__dead(socket->engine); i++)
			drop_accepted(&slab->results[i]);
		apm->slabs = slab->next;
		sluice__handles_free(slab->results, slab->count);
		free(slab);
	}
	free(apm);
	socket->apm = NULL;
}

static void mark_lost(struct sluice_socket *socket)
{
	struct sluice__apm *apm = __atomic_load_n(&socket->apm, __ATOMIC_ACQUIRE);
	struct sluice__results *slab;

	slab = apm ? __atomic_load_n(&apm->slabs, __ATOMIC_ACQUIRE) : NULL;
	for (; slab; slab = slab->next) {
		for (uint32_t i = 0; i < slab->count; i++) {
			uint32_t *word = &slab->results[i].word;

			__atomic_fetch_or(word, SLUICE__ASYNC_LOST, __ATOMIC_ACQ_REL);
			sluice__futex_wake_all(word);
		}
	}
}

static void mark_results_lost(struct sluice_engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	for (struct sluice_socket *socket = engine->sockets; socket; socket = socket->next)
		mark_lost(socket);
	pthread_mutex_unlock(&engine->lock);
}

static void in_child(struct sluice_engine *engine)
{
	pthread_mutex_init(&engine->callbacks->lock, NULL);
}

static const struct sluice__apm_calls apm_calls = {
	.owner_exited = mark_results_lost,
	.before_fork = sluice__handles_lock,
	.after_fork = sluice__handles_unlock,
	.in_child = in_child,
	.is_quiet = is_apm_quiet,
	.free_socket = free_apm,
};

/* ---- taking and releasing results ---- */

static int make_apm(struct sluice_socket *socket)
{
	struct sluice__apm *apm = sluice__allocate(socket->engine, sizeof *apm);

	if (!apm)
		return -ENOMEM;
	sluice__fifo_init(&apm->ended);
	sluice__fifo_init(&apm->callbacks);
	sluice__process_lock();
	if (!socket->engine->apm_calls)
		socket->engine->apm_calls = &apm_calls;
	sluice__process_unlock();
	__atomic_store_n(&socket->apm, apm, __ATOMIC_RELEASE);
	return 0;
}

/* An unused result, else the one that ended first. */
static struct sluice__result *pop_result(struct sluice__apm *apm)
{
	struct sluice__link *link = sluice__pool_get(&apm->unused);

	if (!link) {
		sluice__assert(apm->ended_count > SLUICE__RESULTS_ENDED);
		link = sluice__fifo_pop(&apm->ended);
		apm->ended_count--;
	}
	return sluice__element(link, struct sluice__result, link);
}

static int reserve_result(struct sluice_socket *socket)
{
	int error = socket->apm ? 0 : make_apm(socket);

	if (error || !sluice__pool_is_empty(&socket->apm->unused) ||
	    socket->apm->ended_count > SLUICE__RESULTS_ENDED)
		return error;
	return make_results(socket);
}

static int take_result(struct sluice_socket *socket, bool callback,
		       struct sluice__result **ret_result)
{
	int error;

	if (callbacks_of(socket)->ending)
		return -EBADF;
	error = reserve_result(socket);
	/* An accepted operation must be called back, so at least one thread must exist. */
	if (!error && callback)
		error = sluice__callbacks_reserve(socket->engine);
	if (!error)
		*ret_result = pop_result(socket->apm);
	return error;
}

static void init_result(struct sluice__result *result, uint32_t operation,
			sluice_async_callback *callback, void *state)
{
	sluice_args_init(&result->args);
	result->args.completed = result_completed;
	result->callback = callback;
	result->state = state;
	result->operation = operation;
	result->ended = false;
	result->synchronously = false;
	__atomic_store_n(&result->word, SLUICE__ASYNC_PENDING, __ATOMIC_RELAXED);
	__atomic_store_n(&result->slot->generation, result->slot->generation + 1, __ATOMIC_RELEASE);
}

static void count_running(struct sluice__result *result, int32_t change)
{
	struct sluice__apm *apm = result->socket->apm;

	apm->running += (uint32_t)change;
	if (result->operation >= SLUICE_OPERATION_SEND)
		apm->sending += (uint32_t)change;
}

int sluice__apm_take(struct sluice_socket *socket, uint32_t operation,
		     sluice_async_callback *callback, void *state,
		     struct sluice__result **ret_result, struct sluice__others *ret_others)
{
	struct sluice__callbacks *callbacks = callbacks_of(socket);
	int error;

	sluice__callbacks_lock(callbacks);
	error = take_result(socket, callback, ret_result);
	if (!error) {
		*ret_others =
			(struct sluice__others){socket->apm->running > 0, socket->apm->sending > 0};
		init_result(*ret_result, operation, callback, state);
		count_running(*ret_result, 1);
	}
	sluice__callbacks_unlock(callbacks);
	return error;
}

void sluice__apm_untake(struct sluice__result *result)
{
	struct sluice_socket *socket = result->socket;
	struct sluice__apm *apm = socket->apm;

	sluice__callbacks_lock(callbacks_of(socket));
	count_running(result, -1);
	result->operation = SLUICE_OPERATION_NONE;
	sluice__pool_put(&apm->unused, &result->link);
	sluice__callbacks_unlock(callbacks_of(socket));
}

void sluice__apm_retire(struct sluice__result *result)
{
	struct sluice__apm *apm = result->socket->apm;

	sluice__assert(!result->waiting || result->socket->apm->users > 0);
	if (!result->ended || result->calling || result->waiting)
		return;
	sluice__fifo_push(&apm->ended, &result->link);
	apm->ended_count++;
}

/* ---- completion ---- */

void sluice__apm_finish(struct sluice__result *result, bool synchronously)
{
	struct sluice_socket *socket = result->socket;
	struct sluice__callbacks *callbacks = callbacks_of(socket);
	uint32_t before;

	sluice__callbacks_lock(callbacks);
	count_running(result, -1);
	result->synchronously = synchronously;
	before = __atomic_exchange_n(&result->word, SLUICE__ASYNC_DONE, __ATOMIC_ACQ_REL);
	if (result->callback)
		sluice__callbacks_queue(result);
	sluice__callbacks_unlock(callbacks);
	if (before & SLUICE__ASYNC_WAITED)
		sluice__futex_wake_all(&result->word);
}

static void result_completed(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__apm_finish((struct sluice__result *)(void *)args, false);
}

void sluice__apm_leave(struct sluice_socket *socket)
{
	struct sluice__callbacks *callbacks = callbacks_of(socket);

	sluice__assert(socket->apm->users > 0 && callbacks->users > 0);
	/* The socket's memory may wait only for this user. */
	if (--socket->apm->users == 0 && (sluice__socket_flags(socket) & SLUICE__SHARED_CLOSED))
		sluice__engine_wake_if_asleep(socket->engine);
	if (--callbacks->users == 0 && callbacks->ending)
		pthread_cond_signal(&callbacks->quiet);
}
