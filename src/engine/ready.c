/* SPDX-License-Identifier: MIT */
/* The engine's lists of sockets: ready to send, and with events to deliver. */
#include "engine/ready.h"

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/state.h"

void sluice__ready(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(engine);
	if (socket->state & SLUICE__ST_READY)
		return;
	socket->state |= SLUICE__ST_READY;
	sluice__fifo_push(&engine->ready, &socket->ready_link);
	engine->ready_count++;
}

void sluice__transmit_blocked(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(!(socket->state & SLUICE__ST_IN_FLIGHT));
	socket->out.kind = SLUICE__REQUEST_WRITABLE;
	if (sluice__request_start(socket, &socket->out) == 0)
		sluice__block(socket);
	else
		sluice__ready(socket); /* out of memory: retry in the next turn */
}

void sluice__event(struct sluice_socket *socket, uint32_t event)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(engine);
	sluice__assert(event && !(event & SLUICE__EVENT_QUEUED));
	socket->events |= event;
	if (socket->events & SLUICE__EVENT_QUEUED)
		return;
	socket->events |= SLUICE__EVENT_QUEUED;
	sluice__fifo_push(&engine->events, &socket->event_link);
}
