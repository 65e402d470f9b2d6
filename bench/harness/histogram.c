/* SPDX-License-Identifier: MIT */
#include "harness/histogram.h"

#include <math.h>

/* Up to 2^BITS a bucket for each number; then 2^BITS buckets for each doubling. */
static size_t bucket_of(uint64_t ns)
{
	unsigned doublings;

	if (ns >> HISTOGRAM_BITS == 0)
		return (size_t)ns;
	doublings = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
	if (doublings >= HISTOGRAM_DOUBLINGS)
		return HISTOGRAM_BUCKETS - 1;
	return ((size_t)doublings << HISTOGRAM_BITS) + (size_t)(ns >> doublings);
}

/* The longest time that counts in the bucket. */
static uint64_t longest_of(size_t bucket)
{
	size_t doublings;

	if (bucket >> HISTOGRAM_BITS == 0)
		return bucket;
	doublings = (bucket >> HISTOGRAM_BITS) - 1;
	return (((uint64_t)bucket - (doublings << HISTOGRAM_BITS) + 1) << doublings) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	histogram->count++;
	histogram->buckets[bucket_of(ns)]++;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
	histogram->count += other->count;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	double wanted = ceil((double)histogram->count * percent / 100);
	uint64_t rank = wanted >= 1 ? (uint64_t)wanted : 1;
	uint64_t seen = 0;

	if (rank > histogram->count)
		rank = histogram->count;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS && rank > 0; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank)
			return longest_of(i);
	}
	return 0;
}
