/* SPDX-License-Identifier: MIT */
/*
 * Sends in a starting thread that is not the engine's. A socket on which other threads send one
 * record at a time is lent to them. While it is lent, its queue is empty, no request of it is in
 * flight, and the engine's thread does not touch its sending side. A thread that starts a plain buffer
 * takes the lease, sends, and gives it back. A short send or an error is returned to the engine's
 * thread with the lease. That thread takes the socket back before it touches the sending side:
 * SLUICE__SHARED_LENT takes it off every fast path.
 *
 * The mailbox is cheaper for many records at a time, because it gathers them. So a socket is lent only
 * after several turns with one record of it each. A lease ends after some sends; the next send uses the
 * mailbox and shows whether more records arrive meanwhile.
 */
#include <errno.h>

#include "backend/backend.h"
#include "base/futex.h"
#include "base/queue.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "send/send.h"

/* Turns with a single record of a socket before it is lent for the first time. */
#define SINGLES 3
/* Sends in a lease, as powers of two: the first lease and the longest; each doubles the previous. */
#define LEASE_FIRST_LOG 6
#define LEASE_LAST_LOG 12
/* Spins before the engine's thread sleeps until another thread has sent. */
#define SPINS 1000

static uint64_t bytes_left(const struct sluice_args *args, int64_t taken)
{
	return taken > 0 ? args->run.total - (uint64_t)taken : args->run.total;
}

/* ---- the engine's thread ---- */

void sluice__lend_later(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	/* accepted_link shares memory with dead_link, so a closing socket must not be queued. */
	if (sluice__socket_is_closing(socket) || !sluice__socket_is_stream(socket))
		return;
	if (!socket->brought)
		sluice__fifo_push(&socket->engine->lending, &socket->accepted_link);
	if (socket->brought < UINT8_MAX)
		socket->brought++;
}

static bool is_lendable(const struct sluice_socket *socket)
{
	const uint32_t busy = SLUICE__ST_READY | SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED |
			      SLUICE__ST_ABOVE_HIGH | SLUICE__ST_HANDLE_GONE | SLUICE__ST_GRACEFUL |
			      SLUICE__ST_DEAD | SLUICE__ST_CORKED | SLUICE__ST_ZC_SENDS |
			      SLUICE__PHASE_MASK;

	return !(sluice__socket_flags(socket) &
		 (SLUICE__SHARED_SLOW_STREAM | SLUICE__SHARED_FILTERED)) &&
	       !(socket->state & busy) && sluice__sendq_is_empty(&socket->queue) &&
	       !socket->out.armed && !socket->connecting && !socket->engine->hands_over &&
	       !sluice__dead(socket->engine);
}

static void lend_socket(struct sluice_socket *socket)
{
	uint32_t nothing = 0;

	socket->lease_left = (uint16_t)(1u << socket->lease_log);
	if (socket->lease_log < LEASE_LAST_LOG)
		socket->lease_log++;
	sluice__socket_flags_set(socket, SLUICE__SHARED_LENT);
	/* Fails if more starts of the socket are in the mailbox or about to be pushed. */
	if (!__atomic_compare_exchange_n(&socket->lease, &nothing, SLUICE__LEASE_LENT, false,
					 __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		sluice__socket_flags_clear(socket, SLUICE__SHARED_LENT);
}

static void lend_if_single(struct sluice_socket *socket)
{
	bool single = socket->brought == 1;

	socket->brought = 0;
	if (!single) {
		socket->singles = 0;
		return;
	}
	if (!is_lendable(socket))
		return;
	if (!socket->singles)
		socket->lease_log = LEASE_FIRST_LOG;
	if (socket->singles < SINGLES)
		socket->singles++;
	if (socket->singles == SINGLES)
		lend_socket(socket);
}

void sluice__lend_all(struct sluice_engine *engine)
{
	struct sluice__link *link = sluice__fifo_take_all(&engine->lending);

	sluice__assert_owner(engine);
	while (link) {
		struct sluice_socket *socket =
			sluice__element(link, struct sluice_socket, accepted_link);

		link = link->next;
		lend_if_single(socket);
	}
}

/* Waits for at most one non-blocking send(2). Returns the word without TAKEN. */
static uint32_t wait_for_lease(struct sluice_socket *socket)
{
	for (unsigned int looks = 0;; looks++) {
		uint32_t word = __atomic_load_n(&socket->lease, __ATOMIC_ACQUIRE);

		if (!(word & SLUICE__LEASE_TAKEN))
			return word;
		if (looks < SPINS)
			continue;
		word = __atomic_fetch_or(&socket->lease, SLUICE__LEASE_WAITED, __ATOMIC_ACQUIRE);
		if (word & SLUICE__LEASE_TAKEN)
			sluice__futex_wait(&socket->lease, word | SLUICE__LEASE_WAITED, UINT64_MAX);
	}
}

static void begin_returned(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->flight.last;
	int64_t taken = (int64_t)socket->flight.bytes;

	__atomic_fetch_sub(&socket->cross_thread_bytes, bytes_left(args, taken), __ATOMIC_RELAXED);
	sluice__send_begin_tried(socket, args, taken);
}

void sluice__take_back(struct sluice_socket *socket)
{
	uint32_t word;

	sluice__assert_owner(socket->engine);
	/* Without LENT no thread can set TAKEN, so one wait suffices. */
	__atomic_fetch_and(&socket->lease, ~SLUICE__LEASE_LENT, __ATOMIC_ACQUIRE);
	word = wait_for_lease(socket);
	sluice__socket_flags_clear(socket, SLUICE__SHARED_LENT);
	if (!(word & (SLUICE__LEASE_RETURNED | SLUICE__LEASE_WAITED)))
		return;
	__atomic_fetch_and(&socket->lease, ~(SLUICE__LEASE_RETURNED | SLUICE__LEASE_WAITED),
			   __ATOMIC_RELAXED);
	if (word & SLUICE__LEASE_RETURNED)
		begin_returned(socket);
}

/* ---- the other threads ---- */

/* The socket may be freed after this. */
static void give_back(struct sluice_socket *socket, uint32_t bits)
{
	uint32_t all = SLUICE__LEASE_TAKEN | SLUICE__LEASE_WAITED | bits;
	uint32_t word = __atomic_fetch_and(&socket->lease, ~all, __ATOMIC_RELEASE);

	if (unlikely(word & SLUICE__LEASE_WAITED))
		sluice__futex_wake_all(&socket->lease);
}

bool sluice__borrow(struct sluice_socket *socket)
{
	uint32_t word = SLUICE__LEASE_LENT;

	/* Fails if a record is in the mailbox or another thread is sending. */
	if (!__atomic_compare_exchange_n(&socket->lease, &word,
					 SLUICE__LEASE_LENT | SLUICE__LEASE_TAKEN, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	/* A shutdown or close that has returned takes effect before this send. */
	if (likely(!(sluice__socket_flags(socket) &
		     (SLUICE__SHARED_SLOW_STREAM & ~(uint32_t)SLUICE__SHARED_LENT)) &&
		   !sluice__dead(socket->engine)))
		return true;
	give_back(socket, 0);
	return false;
}

int sluice__send_borrowed(struct sluice_socket *socket, struct sluice_args *args, uint32_t op_flags)
{
	int64_t taken = sluice__syscall_send_plain(socket, args->run.base, args->run.total);

	if (likely(taken == (int64_t)args->run.total)) {
		sluice__sent_by_thread(socket, args);
		give_back(socket, --socket->lease_left ? 0 : SLUICE__LEASE_LENT);
		sluice__record_release(args);
		return 0;
	}
	/* Return the socket to the engine's thread, with the remainder or the error. */
	args->run.op_flags |= op_flags;
	__atomic_fetch_add(&socket->cross_thread_bytes, bytes_left(args, taken), __ATOMIC_RELAXED);
	socket->flight.last = args;
	socket->flight.bytes = (uint64_t)taken;
	__atomic_fetch_or(&socket->lease, SLUICE__LEASE_RETURNED, __ATOMIC_RELAXED);
	sluice__intents_post(socket, SLUICE__WANT_LEASE);
	give_back(socket, SLUICE__LEASE_LENT);
	return 1;
}
