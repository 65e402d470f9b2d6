/* SPDX-License-Identifier: MIT */
/* Sending: begins, gathers, transmits, and settles what was taken. */
#ifndef SLUICE_SRC_SEND_SEND_H
#define SLUICE_SRC_SEND_SEND_H

#include "backend/backend.h"
#include "base/queue.h"
#include "core/sendq.h"
#include "engine/socket.h"
#include "engine/state.h"

struct sluice__zc_send;
struct sluice__zc_send_slab;

/* Of an engine. */
struct sluice__zerocopy_pool {
	struct sluice__pool zc_sends_free;
	struct sluice__zc_send_slab *zc_send_slabs;
	struct iovec regions[SLUICE__REGIONS]; /* registered; a base of NULL: a free place */
	uint32_t region_count;                 /* places in use, and the free ones before them */
	uint64_t region_refused;               /* a bit for each that the backend makes no use of */
};

/* send/begin.c */
int sluice__send_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish);
/* Into the queue. */
void sluice__send_push(struct sluice_socket *socket, struct sluice_args *args);
/* Transmits a queue now that would otherwise wait for the turn. The engine's thread. */
void sluice__offer_queue(struct sluice_socket *socket);
/* A record that is one file, an attempt at which has been made already, outside of its queue. */
int sluice__send_begin_tried_file(struct sluice_socket *socket, struct sluice_args *args,
				  uint64_t count, int64_t taken);

/* send/cancel.c */
void sluice__send_give_up(struct sluice_socket *socket, struct sluice_args *args);
void sluice__send_give_up_marked(struct sluice_socket *socket);

/* transmit.c */
void sluice__transmit(struct sluice_engine *engine);
void sluice__transmit_now(struct sluice_socket *socket); /* one socket, outside of its turn */

/* send/zerocopy.c: transmissions by zero copy, whose buffers the kernel has beyond their result */
/* Whether a start of so many bytes should go by the queue, because zero copy is an option for it. */
bool sluice__zc_send_considers(struct sluice_socket *socket, uint64_t bytes);
/* Whether what was gathered should, and can, go by zero copy. */
bool sluice__zc_send_fits(struct sluice_socket *socket, const struct sluice__gather *gathered);
bool sluice__zc_send_start(struct sluice_socket *socket, const struct sluice__gather *gathered);
void sluice__zc_send_settle(struct sluice_socket *socket,
			    const struct sluice__completion *completion);
/* Where records go that end behind what is held: they wait for it. Only with HOLDING. */
struct sluice__chain *sluice__zc_send_sink(const struct sluice_socket *socket);
/* Whether the kernel has some of this half-sent record's own buffer. */
bool sluice__zc_send_has(const struct sluice_socket *socket, const struct sluice_args *args);
/* The request of the transmission in flight. */
struct sluice__request *sluice__zc_send_request(struct sluice_socket *socket);
uint32_t sluice__zc_send_waiting(const struct sluice_socket *socket); /* for a notification alone */
void sluice__zc_send_abandon(struct sluice_socket *socket); /* notifications that will never come */
void sluice__zc_sends_free(struct sluice_engine *engine);

/* Where records of this socket go that end, in order. */
static inline struct sluice__chain *sluice__sink(const struct sluice_socket *socket)
{
	if (unlikely(socket->state & SLUICE__ST_ZC_SENDS))
		return sluice__zc_send_sink(socket);
	return socket->engine->sink;
}

/* One transmission was taken: so many bytes, with which so many records are whole. */
static inline void sluice__count_sent(struct sluice_socket *socket, uint64_t records,
				      uint64_t bytes)
{
	socket->transmissions++;
	socket->records_sent += records;
	socket->bytes_sent += bytes;
}

/* send/registered.c: registered memory. The place plus one that all segments lie in; 0: none. */
uint32_t sluice__region_of(const struct sluice_engine *engine, const struct iovec *segments,
			   uint32_t count);
/* What the options and the registered memory make of engine's limits: zerocopy_from and what follows from it. */
void sluice__zerocopy_limits(struct sluice_engine *engine);

/* settle.c */
/* What came of the transmission in flight. */
void sluice__settle_result(struct sluice_socket *socket, int32_t result);
void sluice__settle_sent(struct sluice_socket *socket, uint64_t taken);
void sluice__settle_failed(struct sluice_socket *socket, int error_number);
/* The sends of a socket end: the head with error, the others with rest. */
void sluice__settle_abort(struct sluice_socket *socket, int32_t error, int32_t native,
			  int32_t rest_error, int32_t rest_native);
/* The error a send reports for an errno, the socket's history considered. */
int sluice__settle_errno(struct sluice_socket *socket, int error_number);
/* The queue has become shorter: water marks, a graceful close. */
void sluice__settle_shorter(struct sluice_socket *socket);
/* A record that asked for a disconnect behind it has gone: what is queued ends with Shutdown. */
void sluice__settle_end_of_stream(struct sluice_socket *socket, bool reuse);
/* Shuts the sending side down; queued sends end with Shutdown. */
void sluice__settle_shut(struct sluice_socket *socket);

/* send/disconnect.c: FIN to the peer; with reuse the descriptor becomes a fresh one. 0 or -errno. */
int sluice__socket_disconnect(struct sluice_socket *socket, bool reuse);

/* datagram.c */
void sluice__datagram_transmit(struct sluice_socket *socket, bool by_ring);
void sluice__datagram_settle(struct sluice_socket *socket, int32_t result);
void sluice__datagram_retry(struct sluice_socket *socket);
void sluice__datagram_open(struct sluice_engine *engine); /* what the kernel can do */
void sluice__gso_batches_free(struct sluice_engine *engine);

#endif
