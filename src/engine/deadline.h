/* SPDX-License-Identifier: MIT */
/* Deadlines of records and timers of sockets; loop/expire.c dispatches them. */
#ifndef SLUICE_SRC_ENGINE_DEADLINE_H
#define SLUICE_SRC_ENGINE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "engine/state.h"

/* Kinds of nodes in engine->deadlines. All but the first are a socket's timer. */
enum {
	SLUICE__NODE_RECORD,      /* the deadline of a record */
	SLUICE__NODE_CLOSE,       /* continues a close, depending on the phase */
	SLUICE__NODE_RETRY_SEND,  /* retries a connect, or a datagram with nothing to poll for */
	SLUICE__NODE_RETRY_ACCEPT /* retries an accept that ran out of descriptors */
};

/* A listener that waits for a free descriptor. */
struct sluice__retry {
	struct sluice__retry *next;
	struct sluice_socket *listener;
};

void sluice__deadline_arm(struct sluice_socket *socket, struct sluice_args *args);

/* Whether any deadline or timer is armed. */
static inline bool sluice__deadline_any(const struct sluice_engine *engine)
{
	return engine->deadlines.armed | engine->timers.armed;
}

static inline uint64_t sluice__deadline_next(const struct sluice_engine *engine)
{
	uint64_t deadline = sluice__wheel_next(&engine->deadlines);
	uint64_t timer = sluice__wheel_next(&engine->timers);

	return deadline < timer ? deadline : timer;
}

/* The socket's timer has one meaning at a time; a retry replaces the bound of a graceful close. */
void sluice__timer_arm(struct sluice_socket *socket, unsigned int node, int64_t ns);
void sluice__timer_disarm(struct sluice_socket *socket);
/* A descriptor was closed: listeners that ran out of descriptors retry in the next turn. */
void sluice__descriptor_freed(struct sluice_engine *engine);

#endif
