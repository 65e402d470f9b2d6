/* SPDX-License-Identifier: MIT */
/*
 * The result of a run: raw samples, and their evaluation. Written to JSON, read back from it, and
 * the only input of tables, charts and comparisons. Pure: no clock, no kernel.
 */
#ifndef BENCH_REPORT_RESULT_H
#define BENCH_REPORT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/conditions.h"
#include "harness/interval.h"

enum metric {
	METRIC_WALL, /* time per operation */
	METRIC_CPU,  /* CPU time per operation: of the process, including kernel workers */
	METRIC_P99,  /* the latency that one request in a hundred exceeds */
	METRIC_P999, /* the latency that one request in a thousand exceeds */
	METRICS
};

#define METRIC_BIT(metric) (1u << (metric))

/* One turn of one peer: totals of its operations; the latencies are of single requests. */
struct result_sample {
	double ns[METRICS];
};

/* Of a latency distribution: this percentage of the requests took at most ns. */
struct result_point {
	double percent;
	double ns;
};

#define RESULT_POINTS 24

/* Minimum for an interval: fewer rounds mean nothing. */
#define RESULT_CONFIDENCE 0.9

struct result_peer {
	char name[32];
	char title[64];
	char note[96];       /* a note for the reader, or "" */
	double aim;          /* ours / this, at most; 0: none */
	double latency_aim;  /* the same of latencies; 0: as aim */
	double operations;   /* in each sample */
	double peak_bytes;   /* memory that its process has had at most; 0: nobody looked */
	double peak_aim;     /* of these, at most; 0: none */
	double system_calls; /* per operation; < 0: not counted */
	size_t count;
	struct result_sample *samples;
	size_t point_count;
	struct result_point points[RESULT_POINTS]; /* of all samples together */

	/* Filled in by result_evaluate. */
	struct interval cost[METRICS];  /* in ns, per operation */
	struct interval ratio[METRICS]; /* the first peer's / this one's, of one round */
};

struct result_missing {
	char name[32]; /* of a peer, or of a scenario */
	char reason[160];
};

struct result_missing_list {
	struct result_missing *all;
	size_t count;
};

struct result_scenario {
	char name[40];
	char title[96];
	char unit[24];
	char family[24]; /* or "" */
	char receiver[24];
	double x;
	enum metric headline;      /* of charts and verdicts */
	unsigned judged;           /* METRIC_BIT of the metrics with this aim */
	struct result_peer *peers; /* the first one is ours */
	size_t peer_count;
	struct result_missing_list missing; /* peers */
};

struct result_method {
	double sessions;
	double rounds;
	double slice_ns;
	double receiver_sleep_us;
	bool against_itself;
};

struct result {
	struct conditions conditions;
	struct result_method method;
	struct result_scenario *scenarios;
	size_t scenario_count;
	struct result_missing_list missing; /* scenarios */
};

/* Appends zeroed elements to the lists. The program exits if out of memory. */
struct result_scenario *result_add_scenario(struct result *result);
struct result_peer *result_add_peer(struct result_scenario *scenario);
void result_add_sample(struct result_peer *peer, const struct result_sample *sample);
void result_add_missing(struct result_missing_list *list, const char *name, const char *reason);

/* Removes the scenario of that index. */
void result_remove_scenario(struct result *result, size_t index);

/*
 * Computes costs and ratios of all peers; samples of the same round are compared. Peers with fewer
 * samples than sluice are removed.
 */
void result_evaluate(struct result_scenario *scenario);

/* "cpu" */
const char *metric_name(enum metric metric);

/* Whether the metric is the latency of one request rather than a total of a turn. */
static inline bool metric_is_latency(enum metric metric)
{
	return metric >= METRIC_P99;
}

/* Whether an aim is met, judged by the worst of its metrics. */
enum outcome {
	OUTCOME_NO_AIM,
	OUTCOME_MET,         /* by the whole interval */
	OUTCOME_CANNOT_TELL, /* the interval includes the aim, or there are too few rounds */
	OUTCOME_MISSED       /* by the whole interval */
};

/* The aim of this metric, 0: none. */
double result_aim(const struct result_peer *peer, enum metric metric);

enum outcome result_outcome(const struct result_scenario *scenario, const struct result_peer *peer);

const struct result_scenario *result_find(const struct result *result, const char *name);
const struct result_peer *result_find_peer(const struct result_scenario *scenario,
					   const char *name);

/* The category of a peer, by its name. */
enum kind {
	KIND_OURS,    /* this library: also on the other backend, or used in another way */
	KIND_CONTEXT, /* -alone: the same load without its background; not a competitor */
	KIND_HAND,    /* hand-written against the kernel's interface, or liburing */
	KIND_LIBRARY, /* libuv, Asio, .NET */
	KIND_SERVER,  /* nginx, lighttpd, Kestrel */
	KINDS
};

enum kind result_kind(const struct result_peer *peer);

/* "ours", "context", "hand", "library", "server" */
const char *kind_name(enum kind kind);

/* Whether the peer competes with this library. */
bool result_is_foreign(const struct result_peer *peer);

/* This percentile of the latencies of all answers together, 0: unknown. */
double result_latency(const struct result_peer *peer, double percent);

void result_free(struct result *result);

#endif
