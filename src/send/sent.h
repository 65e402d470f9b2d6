/* SPDX-License-Identifier: MIT */
/*
 * A record was sent whole. The functions differ only in where the record is:
 *
 *   sluice__sent_by_thread   in no queue, started by a thread that is not the engine's
 *   sluice__sent_in_start    in no queue; its starting call returns the result
 *   sluice__sent_alone       alone in its queue, without flags
 *   sluice__sent_plain       from the head on, without flags, and no part of them was sent before
 *   sluice__sent_head        at the head of its queue: a file, whose last slice was taken
 *   sluice__settle_sent      in flight: head .. flight.last, some of them whole
 *
 * Each counts the transmission and what it completed. The first two publish the result; the others
 * move the records to the list of finished ones, and continue with what follows them on the socket:
 * uncorking, a disconnect, the low mark, a graceful close.
 */
#ifndef SLUICE_SRC_SEND_SENT_H
#define SLUICE_SRC_SEND_SENT_H

#include <stdint.h>

#include "base/assert.h"
#include "core/record.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "engine/stats.h"

/* Counts a transmission: its bytes, and the records that it completed. */
static inline void sluice__count_sent(struct sluice_socket *socket, uint64_t records,
				      uint64_t bytes)
{
	socket->transmissions++;
	socket->records_sent += records;
	socket->bytes_sent += bytes;
}

static inline void sluice__counter_add(uint64_t *counter, uint64_t amount)
{
	__atomic_store_n(counter, *counter + amount, __ATOMIC_RELAXED);
}

/* The socket is lent to the calling thread; the engine's thread may read the counters. */
static inline void sluice__sent_by_thread(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert(!args->run.op_flags);
	sluice__counter_add(&socket->transmissions, 1);
	sluice__counter_add(&socket->records_sent, 1);
	sluice__counter_add(&socket->bytes_sent, args->run.total);
	__atomic_fetch_add(&socket->engine->lent_sends, 1, __ATOMIC_RELAXED);
	sluice__record_publish_success(args, args->run.total);
}

static inline int sluice__sent_in_start(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__count_sent(socket, 1, args->run.total);
	return sluice__finished(socket->engine, args);
}

/* Whether a transmission of this socket is settled by the functions for records without flags. */
static inline bool sluice__settles_plain(const struct sluice_socket *socket)
{
	return !(socket->state & (SLUICE__ST_CORKED | SLUICE__ST_ABOVE_HIGH | SLUICE__ST_GRACEFUL |
				  SLUICE__ST_ZC_SENDS));
}

static inline void sluice__sent_alone(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert(sluice__sendq_head(&socket->queue) == args && !args->run.next);
	sluice__assert(!args->run.op_flags && !args->run.sent);
	sluice__assert(sluice__settles_plain(socket));
	sluice__count_sent(socket, 1, args->run.total);
	sluice__sendq_clear(&socket->queue);
	sluice__chain_splice(&socket->engine->done, args, args, 1);
}

static inline void sluice__sent_plain(struct sluice_socket *socket,
				      const struct sluice__gather *gathered)
{
	sluice__assert(gathered->plain && sluice__settles_plain(socket));
	sluice__assert(!sluice__sendq_head(&socket->queue)->run.sent);
	sluice__count_sent(socket, gathered->records, gathered->bytes);
	sluice__sendq_finish_plain(&socket->queue, gathered->last, gathered->records,
				   gathered->bytes, &socket->engine->done);
	sluice__count_transmission(socket->engine, gathered->records);
}

/* settle.c */
void sluice__sent_head(struct sluice_socket *socket);
/* The kernel took so many bytes of the flight, perhaps fewer than all. */
void sluice__settle_sent(struct sluice_socket *socket, uint64_t taken);

#endif
