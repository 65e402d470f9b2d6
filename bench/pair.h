/* SPDX-License-Identifier: MIT */
/*
 * Two sides measured side by side: A B A B ... in one process, so that a machine that becomes slow
 * becomes slow for both. Only the ratios of neighbours count, and of these the median.
 *
 * A socket's luck (where its memory lies, how its peer happens to wake up) stays with it for life
 * and can make 2 % for nothing. So the rounds are spread over several sittings, each with new
 * sockets.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "interval.h"
#include "side.h"

enum {
	PAIR_OURS,
	PAIR_BASELINE,
	PAIR_SIDES
};

#define PAIR_ROUNDS_MAX 1000

struct pair_method {
	size_t sittings;
	size_t rounds;     /* of A and B each, in a sitting */
	uint64_t slice_ns; /* about how long one side is measured at a stretch */
};

/* One side's turn. */
struct pair_sample {
	uint64_t wall_ns;
	uint64_t cpu_ns; /* of the process: user and system, kernel workers included */
	uint64_t system_calls;
};

/* All zero at first. */
struct pair_result {
	size_t rounds;  /* of all sittings */
	uint64_t times; /* that the load is done for each sample */
	struct pair_sample samples[PAIR_ROUNDS_MAX][PAIR_SIDES];

	/* Filled in by pair_evaluate. */
	struct interval wall_ratio; /* ours / baseline, of neighbours */
	struct interval cpu_ratio;
	double wall_ns[PAIR_SIDES]; /* medians, of one load */
	double cpu_ns[PAIR_SIDES];
	double system_calls[PAIR_SIDES];
};

/* One sitting: adds its rounds to the result. */
void pair_measure(struct side *const sides[PAIR_SIDES], const struct pair_method *method,
		  struct pair_result *result);

/* What the rounds so far amount to. */
void pair_evaluate(struct pair_result *result);

#endif
