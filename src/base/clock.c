/* SPDX-License-Identifier: MIT */
/*
 * A clock for events: the processor's counter where it runs at one speed at all times, which costs
 * half of a clock_gettime. Readings of both at the beginning and the end make times of its ticks.
 */
#include <stdbool.h>
#include <time.h>

#include "trace/trace.h"

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#ifdef __x86_64__
#include <cpuid.h>

#define INVARIANT (1u << 8)

static bool has_counter(void)
{
	static int known; /* 1 yes, -1 no; racing threads find the same */
	int value = __atomic_load_n(&known, __ATOMIC_RELAXED);
	unsigned int a, b, c, d;

	if (!value) {
		value = __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & INVARIANT) ? 1 : -1;
		__atomic_store_n(&known, value, __ATOMIC_RELAXED);
	}
	return value > 0;
}

uint64_t sluice__trace_ticks(void)
{
	return has_counter() ? __builtin_ia32_rdtsc() : monotonic();
}

#else

uint64_t sluice__trace_ticks(void)
{
	return monotonic();
}

#endif

void sluice__trace_clock_read(struct sluice__trace_clock *clock)
{
	clock->ns = monotonic();
	clock->ticks = sluice__trace_ticks();
}

uint64_t sluice__trace_clock_ns(const struct sluice__trace_clock *first,
				const struct sluice__trace_clock *last, uint64_t ticks)
{
	uint64_t all_ticks = last->ticks - first->ticks;
	uint64_t all_ns = last->ns - first->ns;

	if (ticks <= first->ticks || !all_ticks)
		return first->ns;
	return first->ns +
	       (uint64_t)((unsigned __int128)(ticks - first->ticks) * all_ns / all_ticks);
}
