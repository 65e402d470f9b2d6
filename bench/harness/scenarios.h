/* SPDX-License-Identifier: MIT */
/* What is measured: loads with names, and how far ours should stand from others there. */
#ifndef BENCH_HARNESS_SCENARIOS_H
#define BENCH_HARNESS_SCENARIOS_H

#include "harness/runner.h"

/* Ours / theirs, at most. */
struct aim {
	const char *peer;
	double ratio;           /* of what is judged */
	double expensive_ratio; /* the same if an empty system call takes long here; 0: as ratio */
	double latency_ratio;   /* of latencies; 0: as ratio */
};

/* From which time on a system call is expensive, in ns: between the two kinds of machines. */
#define EXPENSIVE_CALL_NS 500

#define AIMS_MAX 8

/* How much time a run has. A scenario belongs to runs of its effort and of every greater one. */
enum effort {
	EFFORT_QUICK,
	EFFORT_USUAL,
	EFFORT_FULL
};

struct scenario {
	const char *name;  /* on the command line */
	const char *title; /* in the table */
	const char *unit;  /* what the figures are for: "record" */

	/* Scenarios of one family differ in one number, and make a curve; or NULL. */
	const char *family;
	double x;

	enum effort effort;
	struct load load;          /* receivers and options are filled in by the run */
	size_t sessions;           /* at most, where a session is dear; 0: no bound */
	unsigned slice_factor;     /* for turns that have to be longer than others; or 0 */
	size_t peak_aim_bytes;     /* of memory that the process of ours has had at most; or 0 */
	size_t operations;         /* of one load; 0: as many as it has records */
	struct aim aims[AIMS_MAX]; /* to the first without a peer */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* The aim against that peer, or NULL. */
const struct aim *scenario_aim(const struct scenario *scenario, const char *peer);

#endif
