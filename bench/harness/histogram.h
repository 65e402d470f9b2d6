/* SPDX-License-Identifier: MIT */
/*
 * Counts times in buckets whose width grows with them, so that any time is known to 1/128 of
 * itself, or to a nanosecond if that is more. Pure.
 */
#ifndef BENCH_HARNESS_HISTOGRAM_H
#define BENCH_HARNESS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_DOUBLINGS 34 /* longer times than 2^41 ns, 36 minutes, count as these */
#define HISTOGRAM_BUCKETS ((size_t)(HISTOGRAM_DOUBLINGS + 1) << HISTOGRAM_BITS)

/* A percentile is too high by this at most, relatively, and never too low. */
#define HISTOGRAM_ERROR (1.0 / (1 << HISTOGRAM_BITS))

/* All zero is an empty one. */
struct histogram {
	uint64_t count;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The time that so many percent did not exceed; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

#endif
