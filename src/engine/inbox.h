/* SPDX-License-Identifier: MIT */
/* Lists from any thread to the engine's: records to start, and sockets with intents. */
#ifndef SLUICE_SRC_ENGINE_INBOX_H
#define SLUICE_SRC_ENGINE_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/state.h"

/* false: the engine is being destroyed. */
bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args);
void sluice__intents_post(struct sluice_socket *socket, uint32_t intents);

/*
 * Whether records or intents wait that the engine's thread has to take before the next start, to keep
 * the order of starts. Relaxed: what happened before this start is seen in any case, and the lists are
 * taken by an exchange that acquires.
 */
static inline bool sluice__inbox_has_starts(const struct sluice_engine *engine)
{
	return (uintptr_t)__atomic_load_n(&engine->mailbox.top, __ATOMIC_RELAXED) |
	       (uintptr_t)__atomic_load_n(&engine->intents.top, __ATOMIC_RELAXED);
}

#endif
