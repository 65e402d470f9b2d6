/* SPDX-License-Identifier: MIT */
/* Counters that several modules increment. */
#ifndef SLUICE_SRC_ENGINE_STATS_H
#define SLUICE_SRC_ENGINE_STATS_H

#include <sluice/statistics.h>
#include <stdint.h>

#include "engine/state.h"

/* The element of a histogram for a count that is not 0: statistics.h. */
static inline uint32_t sluice__bucket(uint64_t count)
{
	uint32_t bucket = 63 - (uint32_t)__builtin_clzll(count);

	return bucket < SLUICE_STATISTICS_BUCKETS ? bucket : SLUICE_STATISTICS_BUCKETS - 1;
}

/*
 * Counts the records that one transmission completed. Transmissions of one record are not counted: they
 * are the difference between the total and the histogram.
 */
static inline void sluice__count_transmission(struct sluice_engine *engine, uint64_t records)
{
	if (records > 1)
		engine->statistics.transmission_records[sluice__bucket(records)]++;
}

#endif
