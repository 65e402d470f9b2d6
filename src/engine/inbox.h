/* SPDX-License-Identifier: MIT */
/* Lists from any thread to the engine's, records to start and sockets with intents; waking it. */
#ifndef SLUICE_SRC_ENGINE_INBOX_H
#define SLUICE_SRC_ENGINE_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct sluice_args;
struct sluice_engine;
struct sluice_socket;

struct sluice__inbox {
	struct sluice__stack mailbox; /* records started by other threads, by sluice__record_link */
	struct sluice__stack intents; /* sockets with intents, by intents_link */
};

struct sluice__wakeup {
	uint32_t asleep; /* atomic: the owner sleeps, a wake-up needs a system call */
	uint32_t woken;  /* atomic: sluice_engine_wake was called */
	uint64_t count;  /* atomic: statistics.wakes */
};

/* false: the engine is being destroyed. */
bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args);
void sluice__intents_post(struct sluice_socket *socket, uint32_t intents);
/* Wakes the owner if it sleeps. */
void sluice__engine_wake_if_asleep(struct sluice_engine *engine);

/*
 * Whether records or intents wait that the engine's thread has to take before the next start, to keep
 * the order of starts. Relaxed: what happened before this start is seen in any case, and the lists are
 * taken by an exchange that acquires.
 */
static inline bool sluice__inbox_has_starts(const struct sluice__inbox *inbox)
{
	return sluice__stack_top(&inbox->mailbox) | sluice__stack_top(&inbox->intents);
}

#endif
