/* SPDX-License-Identifier: MIT */
/*
 * A runner in its own process, with its own receiver: threads, memory and descriptors are not
 * shared with other runners, its CPU time is that of its process, and a crash affects no other
 * runner.
 */
#ifndef BENCH_HARNESS_WORKER_H
#define BENCH_HARNESS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness/histogram.h"
#include "harness/runner.h"

/* The environment of all workers. */
struct place {
	int sender_cpu;
	int receiver_cpu;
	int receiver_sleep_us; /* pause of the receiver after each read */
	int spin_percent;      /* slows sluice down, to test that this is detected */
};

/* One turn of a runner. */
struct sample {
	uint64_t wall_ns;
	uint64_t cpu_ns;     /* of the process: user and system, including kernel workers */
	bool copied;         /* zero-copy sends that the kernel copied */
	uint64_t background; /* parts of a file sent meanwhile */
	uint64_t p50_ns;     /* of an echo: latencies */
	uint64_t p99_ns;
	uint64_t p999_ns;
	uint64_t peak_bytes; /* of a fan-out: memory that the process has had at most */
	uint64_t calls;      /* of a watched turn: system calls, including those around it */
	uint64_t untimed;    /* of them, made between loads by the measurement */
};

/* What to measure. */
struct order {
	uint64_t times;       /* number of loads; 0 only in a watched turn */
	uint64_t interval_ns; /* between two questions at a steady rate; 0: a closed loop */
	bool trial;           /* its latencies are not part of the total */
	bool watched;         /* without an unmeasured load before; set by worker_measure */
};

struct tracer;

struct worker {
	pid_t process;
	pid_t target; /* the process whose system calls are counted: the same one, or its child */
	int status;   /* of the process, if it ended while it was watched */
	struct tracer *tracer; /* while it is watched, or NULL */
	int fd;                /* of orders and samples */
	int errors;            /* its standard error */
	char failed[96];       /* why it ended, or "" */
};

/*
 * Starts the process and waits until its runner is created. Whether this succeeded; see failed. The
 * latencies of an echo are added to a histogram shared by both processes, or NULL.
 */
bool worker_start(struct worker *worker, const struct peer *peer, const struct load *load,
		  const struct place *place, struct histogram *latencies);

/* Performs the load so many times; whether this succeeded. */
bool worker_measure(struct worker *worker, const struct order *order, struct sample *ret_sample);

/*
 * From now on the system calls of turns are counted, which makes their times meaningless; whether
 * that is permitted. worker_unwatch ends it, and turns are timed again.
 */
bool worker_watch(struct worker *worker);
void worker_unwatch(struct worker *worker);

/* Ends the process. */
void worker_stop(struct worker *worker);

#endif
