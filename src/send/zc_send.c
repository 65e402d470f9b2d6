/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy sends of which the kernel may still read the memory. The kernel completes each twice: a
 * result (the bytes it took), then a notification (it no longer needs the memory). After the result
 * the next transmission of the stream may start; the records that were sent complete only after the
 * notification.
 *
 *   socket->zc_sends   circular list: the newest, whose next is the oldest
 *   zc_send->done      records that complete when this send retires: its own, and those that were
 *                      copied behind it
 *
 * A zero-copy send retires when its notification and all older ones have arrived. Thus the records
 * of a socket complete in order, whatever the order of the notifications.
 */
#include "send/zc_send.h"

#include <stdlib.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "core/record_list.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "send/send.h"

/*
 * Limit of pending notifications per ring entry, over all sockets; the ring buffers 8 completions
 * per entry.
 */
#define PENDING_PER_ENTRY 4

#define SLAB 16

struct sluice__zc_send_slab {
	struct sluice__zc_send zc_sends[SLAB];
	struct sluice__zc_send_slab *next;
};

/* ---- memory ---- */

void sluice__zc_send_put(struct sluice_engine *engine, struct sluice__zc_send *zc_send)
{
	sluice__assert_owner(engine);
	sluice__assert(!zc_send->request.armed);
	sluice__pool_put(&engine->zerocopy->zc_sends_free, &zc_send->link);
}

static void make_slab(struct sluice_engine *engine)
{
	struct sluice__zc_send_slab *slab = sluice__allocate(engine, sizeof *slab);

	if (!slab)
		return;
	slab->next = engine->zerocopy->zc_send_slabs;
	engine->zerocopy->zc_send_slabs = slab;
	for (int i = SLAB; i-- > 0;)
		sluice__zc_send_put(engine, &slab->zc_sends[i]);
}

struct sluice__zc_send *sluice__zc_send_take(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	if (engine->statistics.zerocopy_pending >= PENDING_PER_ENTRY * engine->options.ring_entries)
		return NULL;
	if (sluice__pool_is_empty(&engine->zerocopy->zc_sends_free))
		make_slab(engine);
	return sluice__element(sluice__pool_get(&engine->zerocopy->zc_sends_free),
			       struct sluice__zc_send, link);
}

void sluice__zc_sends_free(struct sluice_engine *engine)
{
	struct sluice__zc_send_slab *slab;

	while ((slab = engine->zerocopy->zc_send_slabs)) {
		engine->zerocopy->zc_send_slabs = slab->next;
		free(slab);
	}
}

/* ---- the list of a socket ---- */

void sluice__zc_send_add(struct sluice_socket *socket, struct sluice__zc_send *zc_send)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(zc_send->request.armed);
	sluice__flight_began(socket);
	if (socket->state & SLUICE__ST_ZC_SENDS) {
		zc_send->next = socket->zc_sends->next;
		socket->zc_sends->next = zc_send;
	} else {
		zc_send->next = zc_send;
	}
	socket->zc_sends = zc_send;
	socket->state |= SLUICE__ST_ZC_SENDS;
}

struct sluice__chain *sluice__zc_send_done(const struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(socket->state & SLUICE__ST_ZC_SENDS);
	return &socket->zc_sends->done;
}

struct sluice__request *sluice__zc_send_request(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if ((socket->state & SLUICE__ST_ZC_SENDS) && !socket->zc_sends->result_seen)
		return &socket->zc_sends->request;
	return &socket->out;
}

uint32_t sluice__zc_send_waiting(const struct sluice_socket *socket)
{
	const struct sluice__zc_send *zc_send = socket->zc_sends;
	uint32_t waiting = 0;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_ZC_SENDS))
		return 0;
	do {
		zc_send = zc_send->next;
		waiting += zc_send->result_seen && zc_send->request.armed;
	} while (zc_send != socket->zc_sends);
	return waiting;
}

bool sluice__zc_send_has(const struct sluice_socket *socket, const struct sluice_args *args)
{
	const struct sluice__zc_send *zc_send = socket->zc_sends;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_ZC_SENDS) || !args->run.sent)
		return false;
	do {
		zc_send = zc_send->next;
		if (zc_send->partial == args || zc_send->taking)
			return true;
	} while (zc_send != socket->zc_sends);
	return false;
}

/* ---- retiring ---- */

/* A send that was abandoned without a notification keeps its memory until the engine ends. */
void sluice__zc_send_retire_in_order(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	while (socket->state & SLUICE__ST_ZC_SENDS) {
		struct sluice__zc_send *oldest = socket->zc_sends->next;

		if (!oldest->result_seen || oldest->request.armed)
			return;
		sluice__chain_move(&engine->done, &oldest->done);
		if (oldest == socket->zc_sends)
			socket->state &= ~(uint32_t)SLUICE__ST_ZC_SENDS;
		else
			socket->zc_sends->next = oldest->next;
		engine->statistics.zerocopy_pending--;
		if (oldest->request.kind != SLUICE__REQUEST_NONE)
			sluice__zc_send_put(engine, oldest);
	}
}

void sluice__zc_send_abandon(struct sluice_socket *socket)
{
	struct sluice__zc_send *zc_send = socket->zc_sends;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_ZC_SENDS))
		return;
	do {
		zc_send = zc_send->next;
		if (!zc_send->request.armed)
			continue;
		zc_send->request.armed = false;
		zc_send->request.kind = SLUICE__REQUEST_NONE;
		socket->armed--;
		socket->engine->armed_requests--;
	} while (zc_send != socket->zc_sends);
	sluice__zc_send_retire_in_order(socket);
}
