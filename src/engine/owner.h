/* SPDX-License-Identifier: MIT */
/* The thread that owns the engine; the clock; memory. */
#ifndef SLUICE_SRC_ENGINE_OWNER_H
#define SLUICE_SRC_ENGINE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "engine/state.h"

enum {
	SLUICE__DEAD_ENDING = 1 << 0, /* destroy has begun */
	SLUICE__DEAD_FORKED = 1 << 1,
	SLUICE__DEAD_LOST = 1 << 2 /* the owner exited */
};

static inline uintptr_t sluice__self(void)
{
	return (uintptr_t)__builtin_thread_pointer();
}

static inline bool sluice__is_owner(const struct sluice_engine *engine)
{
	return __atomic_load_n(&engine->owner, __ATOMIC_RELAXED) == sluice__self();
}

/* The owner, or the thread that becomes the owner on first use. */
static inline bool sluice__may_act(const struct sluice_engine *engine)
{
	uintptr_t owner = __atomic_load_n(&engine->owner, __ATOMIC_RELAXED);

	return (owner ? owner : __atomic_load_n(&engine->creator, __ATOMIC_RELAXED)) ==
	       sluice__self();
}

static inline uint32_t sluice__dead(const struct sluice_engine *engine)
{
	return __atomic_load_n(&engine->dead, __ATOMIC_RELAXED);
}

/* Called only on the engine's thread, or by the thread that destroys a dead engine. */
#define sluice__assert_owner(engine) sluice__assert(sluice__may_act(engine) || sluice__dead(engine))

uint64_t sluice__now(void);
int64_t sluice__time_after(int64_t ns); /* now + ns, saturated */
/* Zeroed memory, aligned to 64 bytes; NULL if out of memory. */
void *sluice__allocate(struct sluice_engine *engine, size_t bytes);
/* 1: the caller is the owner, perhaps from now on; 0: another thread; -errno: enable failed. */
int sluice__engine_enter(struct sluice_engine *engine);
/* For calls reserved to the owner: 0, or -EINVAL, -EBADF, -EPERM. */
int sluice__check_owner(struct sluice_engine *engine);
/* Voluntary context switches of this thread. */
long sluice__sleeps(void);
/* This thread has closed a ring. */
void sluice__ring_closed(void);
/* True, once: an EINTR may come from a ring that this thread has closed. */
bool sluice__ring_closed_interrupts(void);

#endif
