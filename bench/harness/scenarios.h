/* SPDX-License-Identifier: MIT */
/* The scenarios: loads with names, and the aims for them. */
#ifndef BENCH_HARNESS_SCENARIOS_H
#define BENCH_HARNESS_SCENARIOS_H

#include "harness/runner.h"

/* Ours / theirs, at most. */
struct aim {
	const char *peer;
	double ratio;           /* of the metrics with this aim */
	double expensive_ratio; /* the same if system calls are expensive here; 0: as ratio */
	double latency_ratio;   /* of latencies; 0: as ratio */
};

/* From this time on a system call is expensive, in ns: between the two kinds of machines. */
#define EXPENSIVE_CALL_NS 500

#define AIMS_MAX 8

/* The length of a run. A scenario belongs to runs of its effort and of every greater one. */
enum effort {
	EFFORT_QUICK,
	EFFORT_USUAL,
	EFFORT_FULL
};

struct scenario {
	const char *name;  /* on the command line */
	const char *title; /* in the table */
	const char *unit;  /* the operation that the figures refer to: "record" */

	/* The scenarios of a family differ in one number, and form a curve; or NULL. */
	const char *family;
	double x;

	enum effort effort;
	struct load load;          /* receivers and options are filled in by the run */
	size_t sessions;           /* at most, where a session is dear; 0: no bound */
	unsigned slice_factor;     /* limit, if a session is expensive; 0: none */
	size_t peak_aim_bytes;     /* of memory that the process of ours has had at most; or 0 */
	size_t operations;         /* for turns that must be longer than the others; or 0 */
	struct aim aims[AIMS_MAX]; /* per load; 0: as many as it has records */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* up to the first without a peer */
const struct aim *scenario_aim(const struct scenario *scenario, const char *peer);

#endif
