/* SPDX-License-Identifier: MIT */
/* Sending: begin, gather, transmit, and apply results to records. */
#ifndef SLUICE_SRC_SEND_SEND_H
#define SLUICE_SRC_SEND_SEND_H

#include "backend/backend.h"
#include "base/queue.h"
#include "core/record.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "send/sent.h"

struct sluice__zc_send;
struct sluice__zc_send_slab;

/* Zero-copy state of an engine. */
struct sluice__zerocopy_pool {
	struct sluice__zerocopy_prior prior;
	struct sluice__pool zc_sends_free;
	struct sluice__zc_send_slab *zc_send_slabs;
	struct iovec regions[SLUICE__REGIONS]; /* registered memory; a base of NULL: unused */
	uint32_t region_count;                 /* highest used index + 1 */
	uint64_t region_refused;               /* bits of regions that are not pinned */
};

/* send/begin.c */
int sluice__send_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish);
/* Queues the record. */
void sluice__send_push(struct sluice_socket *socket, struct sluice_args *args);
/* Transmits a queue now instead of in the next turn. The engine's thread. */
void sluice__offer_queue(struct sluice_socket *socket);
/* Begins a record of one file that was already tried, outside of its queue, with this result. */
int sluice__send_begin_tried_file(struct sluice_socket *socket, struct sluice_args *args,
				  uint64_t count, int64_t taken);

/* Begins a plain buffer that another thread has tried to send, with this result; the queue is empty. */
void sluice__send_begin_tried(struct sluice_socket *socket, struct sluice_args *args,
			      int64_t taken);

/* send/lend.c: sends in the threads that start them. The engine's thread: */
/* A record from the mailbox has begun: the socket may be lent at the end of the turn. */
void sluice__lend_later(struct sluice_socket *socket);
void sluice__lend_all(struct sluice_engine *engine);
void sluice__take_back(struct sluice_socket *socket);

/* Takes a lent socket back, before the engine's thread touches its sending side. */
static inline void sluice__reclaim(struct sluice_socket *socket)
{
	if (unlikely(sluice__socket_flags(socket) & SLUICE__SHARED_LENT))
		sluice__take_back(socket);
}

/* Any other thread: */
/* Returns true if this thread may send; it then has to call sluice__send_borrowed. */
bool sluice__borrow(struct sluice_socket *socket);
/*
 * Sends an accepted plain buffer on a borrowed socket. Returns 0: sent whole; 1: the engine's thread
 * completes it, with these op_flags.
 */
int sluice__send_borrowed(struct sluice_socket *socket, struct sluice_args *args,
			  uint32_t op_flags);

/* Counts a cross-thread start: until the engine's thread has begun it, no thread may borrow. */
static inline void sluice__cross_thread_announce(struct sluice_socket *socket)
{
	__atomic_fetch_add(&socket->lease, SLUICE__LEASE_ONE, __ATOMIC_ACQ_REL);
}

static inline void sluice__cross_thread_begun(struct sluice_socket *socket)
{
	__atomic_fetch_sub(&socket->lease, SLUICE__LEASE_ONE, __ATOMIC_ACQ_REL);
}

/* send/cancel.c */
void sluice__send_cancel(struct sluice_socket *socket, struct sluice_args *args);
void sluice__send_cancel_marked(struct sluice_socket *socket);

/* transmit.c */
void sluice__transmit(struct sluice_engine *engine);
void sluice__transmit_now(struct sluice_socket *socket); /* one socket, outside of its turn */

/* zerocopy.c: zero-copy transmissions, whose buffers the kernel uses beyond their result */
/* Whether a start of so many bytes should be queued, because zero copy is considered for it. */
bool sluice__zc_send_considers(struct sluice_socket *socket, uint64_t bytes);
/* Whether the gathered records should be sent by zero copy, and can be. */
bool sluice__zc_send_fits(struct sluice_socket *socket, const struct sluice__gather *gathered);
bool sluice__zc_send_start(struct sluice_socket *socket, const struct sluice__gather *gathered);
void sluice__zc_send_settle(struct sluice_socket *socket,
			    const struct sluice__completion *completion);
/* List for records that complete behind a zero-copy send: they wait for it. Only with ZC_SENDS. */
struct sluice__chain *sluice__zc_send_done(const struct sluice_socket *socket);
/* Whether the kernel still uses the buffer of this partly sent record. */
bool sluice__zc_send_has(const struct sluice_socket *socket, const struct sluice_args *args);
/* The request of the transmission in flight. */
struct sluice__request *sluice__zc_send_request(struct sluice_socket *socket);
uint32_t sluice__zc_send_waiting(const struct sluice_socket *socket); /* for their notification */
void sluice__zc_send_abandon(struct sluice_socket *socket); /* notifications that will never come */
void sluice__zc_sends_free(struct sluice_engine *engine);

/* List for completed records of this socket, in order. */
static inline struct sluice__chain *sluice__done(const struct sluice_socket *socket)
{
	if (unlikely(socket->state & SLUICE__ST_ZC_SENDS))
		return sluice__zc_send_done(socket);
	return &socket->engine->done;
}

/* registered.c: index + 1 of the registered memory that contains all segments; 0: none. */
uint32_t sluice__region_of(const struct sluice_engine *engine, const struct iovec *segments,
			   uint32_t count);
/* Computes zerocopy_from, and the limits that depend on it, from options and registered memory. */
void sluice__zerocopy_limits(struct sluice_engine *engine);

/* settle.c */
/* Applies the result of the transmission in flight. */
void sluice__settle_result(struct sluice_socket *socket, int32_t result);
void sluice__settle_failed(struct sluice_socket *socket, int error_number);
/* Ends the socket's sends: the head with error, the others with rest_error. */
void sluice__settle_abort(struct sluice_socket *socket, int32_t error, int32_t native,
			  int32_t rest_error, int32_t rest_native);
/* The errno that a send reports, which depends on whether a reset was reported before. */
int sluice__settle_errno(struct sluice_socket *socket, int error_number);
/* The queue has become shorter: handles the low mark and a graceful close. */
void sluice__settle_shorter(struct sluice_socket *socket);
/* A record with a disconnect at its end was sent: disconnects; queued records end with Shutdown. */
void sluice__settle_end_of_stream(struct sluice_socket *socket, bool reuse);
/* Shuts the sending side down; queued sends end with Shutdown. */
void sluice__settle_shut(struct sluice_socket *socket);

/* filtered.c: sends FIN, as soon as nothing is lost by that. Returns 0 or -errno. */
int sluice__send_fin(struct sluice_socket *socket);

/* disconnect.c: sends FIN; with reuse the descriptor is replaced. Returns 0 or -errno. */
int sluice__socket_disconnect(struct sluice_socket *socket, bool reuse);

/* datagram.c */
void sluice__datagram_transmit(struct sluice_socket *socket, bool by_ring);
void sluice__datagram_settle(struct sluice_socket *socket, int32_t result);
void sluice__datagram_retry(struct sluice_socket *socket);
void sluice__datagram_open(struct sluice_engine *engine); /* probes UDP GSO */
void sluice__gso_batches_free(struct sluice_engine *engine);

#endif
