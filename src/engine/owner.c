/* SPDX-License-Identifier: MIT */
/* The thread that owns the engine; the clock; memory. */
#include "engine/owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "backend/backend.h"
#include "core/record.h"
#include "engine/fork.h"
#include "engine/state.h"

uint64_t sluice__now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t sluice__time_after(int64_t ns)
{
	int64_t now = (int64_t)sluice__now();

	return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

void *sluice__allocate(struct sluice_engine *engine, size_t bytes)
{
	size_t whole = (bytes + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, whole);

	if (memory)
		memset(memory, 0, whole);
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	return memory;
}

/* On the first use: the calling thread becomes the owner. */
static int become_owner(struct sluice_engine *engine)
{
	int error = engine->backend->enable(engine);

	if (error)
		return error;
	sluice__process_owned(engine);
	__atomic_store_n(&engine->owner, sluice__self(), __ATOMIC_RELEASE);
	return 1;
}

int sluice__engine_enter(struct sluice_engine *engine)
{
	uintptr_t owner = __atomic_load_n(&engine->owner, __ATOMIC_RELAXED);

	if (likely(owner))
		return owner == sluice__self();
	if (__atomic_load_n(&engine->creator, __ATOMIC_RELAXED) != sluice__self() ||
	    sluice__dead(engine))
		return 0;
	return become_owner(engine);
}

int sluice__check_owner(struct sluice_engine *engine)
{
	int owner;

	if (!engine)
		return -EINVAL;
	if (sluice__dead(engine))
		return -EBADF;
	owner = sluice__engine_enter(engine);
	if (owner < 0)
		return owner;
	return owner ? 0 : -EPERM;
}

long sluice__sleeps(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_nvcsw;
}

/*
 * The kernel tears a closed ring down a moment later, and that interrupts the thread that used it,
 * once and without a signal.
 */
static __thread uint64_t ring_closed_ns;
#define RING_CLOSES_NS 100000000

void sluice__ring_closed(void)
{
	ring_closed_ns = sluice__now();
}

bool sluice__ring_closed_interrupts(void)
{
	bool interrupts = ring_closed_ns && sluice__now() - ring_closed_ns < RING_CLOSES_NS;

	ring_closed_ns = 0;
	return interrupts;
}
