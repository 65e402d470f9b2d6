/* SPDX-License-Identifier: MIT */
/*
 * What the kernel holds of transmissions by zero copy. The kernel answers twice: what it took, and later, that it needs the
 * buffers no longer. With the first answer the next transmission of the stream may start; the
 * records that were taken wait in a hold for the second.
 *
 *   socket->holds   the newest, which leads to the oldest, and so on to the newest again
 *   hold->done      records that ended with this transmission, or behind it by copying
 *
 * A hold is let go when its notification is there and it is the oldest: so the handlers of a socket
 * run in the order of its records, however the notifications come.
 */
#include "send/holds.h"

#include <stdlib.h>

/* Notifications on their way, of all sockets, for each entry of the ring: it keeps 8 completions. */
#define HOLDS_PER_ENTRY 4

#define SLAB 16

struct sluice__hold_slab {
	struct sluice__hold holds[SLAB];
	struct sluice__hold_slab *next;
};

/* ---- memory ---- */

void sluice__hold_put(struct sluice_engine *engine, struct sluice__hold *hold)
{
	sluice__assert(!hold->request.armed);
	sluice__pool_put(&engine->zerocopy->holds_free, &hold->link);
}

static void make_slab(struct sluice_engine *engine)
{
	struct sluice__hold_slab *slab = sluice__allocate(engine, sizeof *slab);

	if (!slab)
		return;
	slab->next = engine->zerocopy->hold_slabs;
	engine->zerocopy->hold_slabs = slab;
	for (int i = SLAB; i-- > 0;)
		sluice__hold_put(engine, &slab->holds[i]);
}

struct sluice__hold *sluice__hold_take(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	if (engine->statistics.zerocopy_pending >= HOLDS_PER_ENTRY * engine->options.ring_entries)
		return NULL;
	if (sluice__pool_is_empty(&engine->zerocopy->holds_free))
		make_slab(engine);
	return sluice__element(sluice__pool_get(&engine->zerocopy->holds_free), struct sluice__hold,
			       link);
}

void sluice__holds_free(struct sluice_engine *engine)
{
	struct sluice__hold_slab *slab;

	while ((slab = engine->zerocopy->hold_slabs)) {
		engine->zerocopy->hold_slabs = slab->next;
		free(slab);
	}
}

/* ---- the list of a socket ---- */

void sluice__hold_add(struct sluice_socket *socket, struct sluice__hold *hold)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(hold->request.armed);
	sluice__assert(!(socket->state & SLUICE__IN_FLIGHT));
	if (socket->state & SLUICE__HOLDING) {
		hold->next = socket->holds->next;
		socket->holds->next = hold;
	} else {
		hold->next = hold;
	}
	socket->holds = hold;
	socket->state |= SLUICE__HOLDING | SLUICE__IN_FLIGHT;
}

struct sluice__chain *sluice__hold_sink(const struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert(socket->state & SLUICE__HOLDING);
	/* What ends inside its own start was copied, and is behind nothing. */
	return engine->sink == &engine->done ? &socket->holds->done : engine->sink;
}

struct sluice__request *sluice__hold_request(struct sluice_socket *socket)
{
	if ((socket->state & SLUICE__HOLDING) && !socket->holds->told)
		return &socket->holds->request;
	return &socket->out;
}

uint32_t sluice__hold_waiting(const struct sluice_socket *socket)
{
	const struct sluice__hold *hold = socket->holds;
	uint32_t waiting = 0;

	if (!(socket->state & SLUICE__HOLDING))
		return 0;
	do {
		hold = hold->next;
		waiting += hold->told && hold->request.armed;
	} while (hold != socket->holds);
	return waiting;
}

bool sluice__hold_has(const struct sluice_socket *socket, const struct sluice_args *args)
{
	const struct sluice__hold *hold = socket->holds;

	if (!(socket->state & SLUICE__HOLDING) || !args->run.sent)
		return false;
	do {
		hold = hold->next;
		if (hold->broken == args || hold->taking)
			return true;
	} while (hold != socket->holds);
	return false;
}

/* ---- back ---- */

/* All that is free, from the oldest on. Answers that never came keep their memory until the end. */
void sluice__hold_let_go(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	while (socket->state & SLUICE__HOLDING) {
		struct sluice__hold *oldest = socket->holds->next;

		if (!oldest->told || oldest->request.armed)
			return;
		sluice__chain_move(&engine->done, &oldest->done);
		if (oldest == socket->holds)
			socket->state &= ~(uint32_t)SLUICE__HOLDING;
		else
			socket->holds->next = oldest->next;
		engine->statistics.zerocopy_pending--;
		if (oldest->request.kind != SLUICE__REQUEST_NONE)
			sluice__hold_put(engine, oldest);
	}
}

void sluice__hold_abandon(struct sluice_socket *socket)
{
	struct sluice__hold *hold = socket->holds;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__HOLDING))
		return;
	do {
		hold = hold->next;
		if (!hold->request.armed)
			continue;
		hold->request.armed = false;
		hold->request.kind = SLUICE__REQUEST_NONE;
		socket->armed--;
		socket->engine->flying--;
	} while (hold != socket->holds);
	sluice__hold_let_go(socket);
}
