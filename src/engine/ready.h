/* SPDX-License-Identifier: MIT */
/* The engine's lists of sockets, ready to send and with events. */
#ifndef SLUICE_SRC_ENGINE_READY_H
#define SLUICE_SRC_ENGINE_READY_H

#include <stdint.h>

#include "base/assert.h"
#include "engine/socket.h"

/*
 * Why a socket transmits nothing at present: it is in the ready list and has its turn later, a
 * transmission is in flight, or it is blocked.
 */
static inline void sluice__ready_taken(struct sluice_socket *socket)
{
	socket->state &= ~(uint32_t)SLUICE__ST_READY;
}

static inline void sluice__flight_began(struct sluice_socket *socket)
{
	sluice__assert(!(socket->state & SLUICE__ST_IN_FLIGHT));
	socket->state |= SLUICE__ST_IN_FLIGHT;
}

static inline void sluice__flight_ended(struct sluice_socket *socket)
{
	sluice__assert(socket->state & SLUICE__ST_IN_FLIGHT);
	socket->state &= ~(uint32_t)SLUICE__ST_IN_FLIGHT;
}

static inline void sluice__block(struct sluice_socket *socket)
{
	socket->state |= SLUICE__ST_BLOCKED;
}

static inline void sluice__unblock(struct sluice_socket *socket)
{
	socket->state &= ~(uint32_t)SLUICE__ST_BLOCKED;
}

/* Transmits nothing any more. */
static inline void sluice__transmission_abandoned(struct sluice_socket *socket)
{
	socket->state &= ~(uint32_t)(SLUICE__ST_BLOCKED | SLUICE__ST_IN_FLIGHT);
}

/* The kernel's send buffer was full at an inline send; and it has space again. */
static inline void sluice__buffer_full(struct sluice_socket *socket)
{
	socket->state |= SLUICE__ST_FULL;
}

static inline void sluice__buffer_has_space(struct sluice_socket *socket)
{
	socket->state &= ~(uint32_t)SLUICE__ST_FULL;
}

void sluice__ready(struct sluice_socket *socket);
/* Waits until the socket is writable. */
void sluice__transmit_blocked(struct sluice_socket *socket);
void sluice__event(struct sluice_socket *socket, uint32_t event);

#endif
