/* SPDX-License-Identifier: MIT */
/*
 * Runners measured in turns: A B C, C A B, ..., so that a machine that slows down affects all of
 * them. Only the ratios within a round count, and their median.
 *
 * The placement of a socket's memory and the wake-ups of its peer are fixed for its lifetime and
 * can make 2 % of difference. So the rounds are spread over several sessions, each with new
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
	size_t rounds;     /* turns of each runner in a session */
	uint64_t slice_ns; /* the approximate length of a turn */
};

/* A peer in all rounds. Initially only peer is set, the rest is zero. */
struct contender {
	const struct peer *peer;
	struct order order; /* of every sample */
	size_t count;
	struct sample *samples;
	double calls;                /* system calls per load; < 0: they could not be counted */
	struct histogram *latencies; /* of all samples, if the load has any */
	struct worker worker;        /* of this session; worker.failed is kept */
};

/*
 * Runs one session of these contenders and adds its rounds to each of them; the first session also
 * counts their system calls. All are compared with the first contender: another one that fails is
 * skipped from then on, but if the first one fails, nothing can be measured. Whether it could.
 */
bool measure_session(struct contender *const *contenders, size_t count, const struct load *load,
		     const struct method *method, const struct place *place);

void measure_forget(struct contender *contender);

#endif
