/* SPDX-License-Identifier: MIT */
/*
 * Close and destroy from another thread. The call waits until the engine's thread has closed the
 * descriptor, so that the port is free when it returns; but only while the engine's thread is in a
 * turn, where it works or sleeps in the kernel. Not in a handler, which may itself wait for the
 * caller, and not outside of run. The end of the turn releases all waiters.
 */
#include "engine/close_wait.h"

#include "base/assert.h"
#include "base/futex.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

/* A file system may block the turn for long. */
#define CLOSE_WAIT_MAX_NS 1000000000

struct sluice__close_waiter {
	const struct sluice_socket *socket;
	struct sluice__close_waiter *next;
	uint32_t released; /* atomic, a futex */
};

void sluice__close_release_waiting(struct sluice__close_waits *waits,
				   const struct sluice_socket *socket)
{
	struct sluice__close_waiter *waiter;

	pthread_mutex_lock(&waits->lock);
	for (waiter = waits->list; waiter; waiter = waiter->next) {
		if (socket && waiter->socket != socket)
			continue;
		__atomic_store_n(&waiter->released, 1, __ATOMIC_RELEASE);
		sluice__futex_wake_all(&waiter->released);
	}
	pthread_mutex_unlock(&waits->lock);
}

static void close_waiter_add(struct sluice__close_waits *waits, struct sluice__close_waiter *waiter)
{
	pthread_mutex_lock(&waits->lock);
	waiter->next = waits->list;
	waits->list = waiter;
	__atomic_fetch_add(&waits->count, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&waits->lock);
}

static void close_waiter_remove(struct sluice__close_waits *waits,
				struct sluice__close_waiter *waiter)
{
	struct sluice__close_waiter **at = &waits->list;

	pthread_mutex_lock(&waits->lock);
	while (*at != waiter) {
		sluice__assert(*at);
		at = &(*at)->next;
	}
	*at = waiter->next;
	__atomic_fetch_sub(&waits->count, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&waits->lock);
}

void sluice__close_wait(struct sluice_socket *socket, uint32_t intents)
{
	struct sluice__close_waits *waits = &socket->engine->close_waits;
	struct sluice__close_waiter waiter = {.socket = socket};
	uint64_t deadline_ns;

	close_waiter_add(waits, &waiter);
	sluice__intents_post(socket, intents);
	deadline_ns = sluice__now() + CLOSE_WAIT_MAX_NS;
	while (!__atomic_load_n(&waiter.released, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&waits->in_turn, __ATOMIC_SEQ_CST) && sluice__now() < deadline_ns)
		sluice__futex_wait(&waiter.released, 0, deadline_ns);
	close_waiter_remove(waits, &waiter);
}
