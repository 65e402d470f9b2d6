/* SPDX-License-Identifier: MIT */
/* Whether a queue is above its high mark, from when it passes that until it reaches the low mark. */
#include "engine/marks.h"

#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"

bool sluice__marks_rise(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->state & SLUICE__ST_ABOVE_HIGH)
		return false;
	socket->state |= SLUICE__ST_ABOVE_HIGH;
	return true;
}

void sluice__marks_congested(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if ((socket->state & SLUICE__ST_ABOVE_HIGH) && socket->marks && socket->marks->congested)
		sluice__event(socket, SLUICE__EVENT_CONGESTED);
}

void sluice__marks_fall(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_ABOVE_HIGH) || socket->queue.bytes > socket->low_bytes)
		return;
	socket->state &= ~(uint32_t)SLUICE__ST_ABOVE_HIGH;
	if (socket->marks && socket->marks->drained)
		sluice__event(socket, SLUICE__EVENT_DRAINED);
}
