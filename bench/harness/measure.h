/* SPDX-License-Identifier: MIT */
/*
 * Runners measured side by side: A B C, C A B, ..., so that a machine that becomes slow becomes slow
 * for all. Only the ratios of one round count, and of these the median.
 *
 * A socket's luck (where its memory lies, how its peer happens to wake up) stays with it for life
 * and can make 2 % for nothing. So the rounds are spread over several sessions, each with new
 * processes and new sockets.
 */
#ifndef BENCH_HARNESS_MEASURE_H
#define BENCH_HARNESS_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "harness/worker.h"

#define MEASURE_MAX 40 /* contenders */

struct method {
	size_t sessions;
	size_t rounds;     /* of A and B and so on each, in a session */
	uint64_t slice_ns; /* about how long one runner is measured at a stretch */
};

/* A peer through all rounds. Only peer is set at first, the rest is zero. */
struct contender {
	const struct peer *peer;
	struct order order; /* of every sample */
	size_t count;
	struct sample *samples;
	double calls;                /* system calls of a load; < 0: they could not be counted */
	struct histogram *latencies; /* of all samples, if the load has any */
	struct worker worker;        /* of this session; worker.failed stays */
};

/*
 * One session of these contenders: adds its rounds to each of them; in the first one their system
 * calls are counted afterwards. The first contender is what all are compared with: another one that
 * fails is left out from then on, but when the first one fails there is nothing to measure. Whether
 * there was.
 */
bool measure_session(struct contender *const *contenders, size_t count, const struct load *load,
		     const struct method *method, const struct place *place);

void measure_forget(struct contender *contender);

#endif
