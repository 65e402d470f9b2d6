/* SPDX-License-Identifier: MIT */
/* The engine's lists of sockets, ready to send and with events; the budget of their handlers. */
#ifndef SLUICE_SRC_ENGINE_READY_H
#define SLUICE_SRC_ENGINE_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/state.h"

void sluice__ready(struct sluice_socket *socket);
/* Waits until the socket is writable. */
void sluice__transmit_blocked(struct sluice_socket *socket);
void sluice__event(struct sluice_socket *socket, uint32_t event);

/* Operations started by handlers of events and posts that count as one handler. */
#define SLUICE__STARTS_A_HANDLER 16

static inline uint64_t sluice__budget_used(const struct sluice_engine *engine)
{
	return engine->statistics.handlers * SLUICE__STARTS_A_HANDLER +
	       engine->statistics.records_started;
}

/* Whether another handler of an event or a post may be called in this turn. */
static inline bool sluice__within_budget(const struct sluice_engine *engine)
{
	return sluice__budget_used(engine) < engine->budget_end;
}

#endif
