/* SPDX-License-Identifier: MIT */
/*
 * What is to be done with a socket besides its records: close, shut down, cancel. Any thread leaves
 * it as bits of the socket and puts the socket, once, on the engine's list; the next turn acts.
 */
#include <assert.h>

#include "base/futex.h"
#include "engine/engine.h"

/* In the order in which a careful caller would have made the calls. */
static void attend(struct sluice_socket *socket, uint32_t wants)
{
	if (wants & SLUICE__WANT_ACCEPT)
		sluice__accepter_begin(socket);
	if (wants & SLUICE__WANT_RECEIVE)
		sluice__receiver_begin(socket);
	if (wants & SLUICE__WANT_CANCEL)
		sluice__give_up_marked(socket);
	if (wants & SLUICE__WANT_CANCEL_ALL)
		sluice__give_up_all(socket);
	if (wants & (SLUICE__WANT_SHUT_RECEIVE | SLUICE__WANT_SHUT_SEND))
		sluice__socket_shut(socket, wants & SLUICE__WANT_SHUT_RECEIVE,
				    wants & SLUICE__WANT_SHUT_SEND);
	if (wants & SLUICE__WANT_ACCEPT_STOP)
		sluice__accepter_stop(socket);
	if (wants & SLUICE__WANT_RECEIVE_STOP)
		sluice__receiver_stop(socket);
	if (wants & SLUICE__WANT_GRACEFUL)
		sluice__socket_end_gracefully(socket);
	if (wants & SLUICE__WANT_DESTROY)
		socket->state |= SLUICE__DESTROYED;
	if (wants & (SLUICE__WANT_CLOSE | SLUICE__WANT_DESTROY))
		sluice__socket_end(socket);
	if ((socket->state & SLUICE__DESTROYED) && (socket->state & SLUICE__ENDED))
		sluice__socket_bury(socket);
}

void sluice__attention_take(struct sluice_engine *engine)
{
	struct sluice_socket *socket, *oldest = NULL;

	if (!__atomic_load_n(&engine->attention, __ATOMIC_RELAXED))
		return;
	socket = __atomic_exchange_n(&engine->attention, NULL, __ATOMIC_ACQUIRE);
	/* What was started before the close was asked for has come by now: it goes first. */
	sluice__mailbox_take(engine);
	while (socket) {
		struct sluice_socket *next = socket->attention_next;

		socket->attention_next = oldest;
		oldest = socket;
		socket = next;
	}
	while (oldest) {
		struct sluice_socket *next = oldest->attention_next;

		/* From the exchange on it may be pushed again. */
		attend(oldest, __atomic_exchange_n(&oldest->attention, 0, __ATOMIC_ACQ_REL));
		oldest = next;
	}
}

void sluice__attention_want_now(struct sluice_socket *socket, uint32_t wants)
{
	struct sluice_engine *engine = socket->engine;

	sluice__attention_want(socket, wants);
	/* A ring that has not been used yet takes no more than it has room for. */
	if ((wants & (SLUICE__WANT_ACCEPT | SLUICE__WANT_RECEIVE)) && !sluice__is_owner(engine))
		return;
	if (sluice__may_act(engine) && !sluice__dead(engine)) {
		sluice__mailbox_take(engine);
		sluice__attention_take(engine);
		if (engine->foreign && !engine->busy)
			sluice__listen_again(engine);
	}
}

/*
 * ---- close and destroy from another thread ----
 *
 * A call that frees a port waits until the engine's thread has closed the descriptor, but only while
 * that thread is sure to come by. That is so in a turn, where it sleeps in the kernel or works; not in
 * a handler, which may itself wait for the caller, and not outside of run. Whoever waits is released
 * when the turn ends.
 */

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
		assert(*at);
		at = &(*at)->next;
	}
	*at = waiter->next;
	__atomic_fetch_sub(&engine->close_waiting, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&engine->lock);
}

/* A connected stream shares its port with others, or leaves it in TIME-WAIT. */
static bool frees_a_port(const struct sluice_socket *socket)
{
	return sluice__refuse(socket) &
	       (SLUICE__LISTENING | SLUICE__DATAGRAM | SLUICE__UNCONNECTED);
}

void sluice__close_want(struct sluice_socket *socket, uint32_t wants)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__close_waiter waiter = {.socket = socket};
	uint64_t deadline_ns;

	if (!frees_a_port(socket) || sluice__may_act(engine) ||
	    !__atomic_load_n(&engine->in_turn, __ATOMIC_RELAXED)) {
		sluice__attention_want_now(socket, wants);
		return;
	}
	add_waiter(engine, &waiter);
	sluice__attention_want(socket, wants);
	deadline_ns = sluice__now() + BOUND_NS;
	while (!__atomic_load_n(&waiter.released, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&engine->in_turn, __ATOMIC_SEQ_CST) && sluice__now() < deadline_ns)
		sluice__futex_wait(&waiter.released, 0, deadline_ns);
	remove_waiter(engine, &waiter);
}
