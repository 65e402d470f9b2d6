/* SPDX-License-Identifier: MIT */
/*
 * Close and destroy from another thread. A call that frees a port waits until the engine's thread has
 * closed the descriptor, but only while that thread is sure to come by. That is so in a turn, where it
 * sleeps in the kernel or works; not in a handler, which may itself wait for the caller, and not
 * outside of run. Whoever waits is released when the turn ends.
 */

#include "base/futex.h"
#include "engine/socket.h"
#include "engine/state.h"

/* A turn may be held up by a file system. */
#define BOUND_NS 1000000000

struct sluice__close_waiter {
	const struct sluice_socket *socket;
	struct sluice__close_waiter *next;
	uint32_t released; /* atomic, a futex */
};

void sluice__close_release_waiting(struct sluice_engine *engine, const struct sluice_socket *socket)
{
	struct sluice__close_waiter *waiter;

	pthread_mutex_lock(&engine->lock);
	for (waiter = engine->close_waiters; waiter; waiter = waiter->next) {
		if (socket && waiter->socket != socket)
			continue;
		__atomic_store_n(&waiter->released, 1, __ATOMIC_RELEASE);
		sluice__futex_wake_all(&waiter->released);
	}
	pthread_mutex_unlock(&engine->lock);
}

static void add_waiter(struct sluice_engine *engine, struct sluice__close_waiter *waiter)
{
	pthread_mutex_lock(&engine->lock);
	waiter->next = engine->close_waiters;
	engine->close_waiters = waiter;
	__atomic_fetch_add(&engine->close_waiting, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&engine->lock);
}

static void remove_waiter(struct sluice_engine *engine, struct sluice__close_waiter *waiter)
{
	struct sluice__close_waiter **at = &engine->close_waiters;

	pthread_mutex_lock(&engine->lock);
	while (*at != waiter) {
		sluice__assert(*at);
		at = &(*at)->next;
	}
	*at = waiter->next;
	__atomic_fetch_sub(&engine->close_waiting, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&engine->lock);
}

void sluice__close_wait(struct sluice_socket *socket, uint32_t wants)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__close_waiter waiter = {.socket = socket};
	uint64_t deadline_ns;

	add_waiter(engine, &waiter);
	sluice__intents_post(socket, wants);
	deadline_ns = sluice__now() + BOUND_NS;
	while (!__atomic_load_n(&waiter.released, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&engine->in_turn, __ATOMIC_SEQ_CST) && sluice__now() < deadline_ns)
		sluice__futex_wait(&waiter.released, 0, deadline_ns);
	remove_waiter(engine, &waiter);
}
