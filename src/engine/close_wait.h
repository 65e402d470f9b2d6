/* SPDX-License-Identifier: MIT */
/* Close and destroy from another thread, which wait until the descriptor is closed. */
#ifndef SLUICE_SRC_ENGINE_CLOSE_WAIT_H
#define SLUICE_SRC_ENGINE_CLOSE_WAIT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "core/record.h"

struct sluice__close_waiter;
struct sluice_socket;

/* The threads that wait, and whether they may. */
struct sluice__close_waits {
	pthread_mutex_t lock;
	struct sluice__close_waiter *list; /* under lock */
	uint32_t count;                    /* atomic: their number */
	uint32_t in_turn;                  /* atomic: the owner is in a turn and not in a handler */
};

void sluice__close_release_waiting(struct sluice__close_waits *waits,
				   const struct sluice_socket *socket);
/* Posts the intents, and waits until the descriptor is closed or the turn ends. */
void sluice__close_wait(struct sluice_socket *socket, uint32_t intents);

/* Releases waiters: the descriptor is closed, or will not be in this turn. NULL: of all sockets. */
static inline void sluice__close_release(struct sluice__close_waits *waits,
					 const struct sluice_socket *socket)
{
	if (unlikely(__atomic_load_n(&waits->count, __ATOMIC_SEQ_CST)))
		sluice__close_release_waiting(waits, socket);
}

/* Until sluice__turns_end, the engine's thread runs no code of the application. */
static inline void sluice__turns_begin(struct sluice__close_waits *waits)
{
	__atomic_store_n(&waits->in_turn, 1, __ATOMIC_RELEASE);
}

/* A waiter increments count before it reads in_turn, so one of the two sees the other. */
static inline void sluice__turns_end(struct sluice__close_waits *waits)
{
	if (!__atomic_load_n(&waits->in_turn, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&waits->in_turn, 0, __ATOMIC_SEQ_CST);
	sluice__close_release(waits, NULL);
}

#endif
