/* SPDX-License-Identifier: MIT */
/* Close and destroy from another thread, which wait until the descriptor is closed. */
#ifndef SLUICE_SRC_ENGINE_CLOSE_WAIT_H
#define SLUICE_SRC_ENGINE_CLOSE_WAIT_H

#include <stdint.h>

#include "core/record.h"
#include "engine/state.h"

void sluice__close_release_waiting(struct sluice_engine *engine,
				   const struct sluice_socket *socket);
/* Posts the intents, and waits until the descriptor is closed or the turn ends. */
void sluice__close_wait(struct sluice_socket *socket, uint32_t intents);

/* Releases waiters: the descriptor is closed, or will not be in this turn. NULL: of all sockets. */
static inline void sluice__close_release(struct sluice_engine *engine,
					 const struct sluice_socket *socket)
{
	if (unlikely(__atomic_load_n(&engine->close_waiting, __ATOMIC_SEQ_CST)))
		sluice__close_release_waiting(engine, socket);
}

/* Until sluice__turns_end, the engine's thread runs no code of the application. */
static inline void sluice__turns_begin(struct sluice_engine *engine)
{
	__atomic_store_n(&engine->in_turn, 1, __ATOMIC_RELEASE);
}

/* A waiter increments close_waiting before it reads in_turn, so one of the two sees the other. */
static inline void sluice__turns_end(struct sluice_engine *engine)
{
	if (!__atomic_load_n(&engine->in_turn, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&engine->in_turn, 0, __ATOMIC_SEQ_CST);
	sluice__close_release(engine, NULL);
}

#endif
