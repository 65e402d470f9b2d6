/* SPDX-License-Identifier: MIT */
/*
 * A runner in a process of its own, with a receiver of its own. So one runner's threads, memory and
 * descriptors are no other's, its CPU time is its process's, and one that breaks down takes nothing
 * with it.
 */
#ifndef BENCH_HARNESS_WORKER_H
#define BENCH_HARNESS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness/histogram.h"
#include "harness/runner.h"

/* Where everything happens. */
struct place {
	int sender_cpu;
	int receiver_cpu;
	int receiver_sleep_us; /* that the receiver sleeps after each look */
	int spin_percent;      /* by which ours is made slower, to test that this is found */
};

/* One turn of a runner. */
struct sample {
	uint64_t wall_ns;
	uint64_t cpu_ns;     /* of the process: user and system, kernel workers included */
	bool copied;         /* by the kernel, what was to go without a copy */
	uint64_t background; /* parts of a file that were sent meanwhile */
	uint64_t p50_ns;     /* of an echo: latencies */
	uint64_t p99_ns;
	uint64_t p999_ns;
	uint64_t peak_bytes; /* of a fan-out: memory that the process has had at most */
	uint64_t calls;      /* of a turn that is watched: system calls, those around it included */
	uint64_t untimed;    /* of them, made between loads by what measures */
};

/* What to measure. */
struct order {
	uint64_t times;       /* that the load is to be done; 0 only where it is watched */
	uint64_t interval_ns; /* between two questions of a steady rate; 0: as fast as it goes */
	bool trial;           /* its latencies are none of those of all turns */
	bool watched;         /* nothing that is not measured goes before; worker_measure says it */
};

struct tracer;

struct worker {
	pid_t process;
	pid_t target; /* whose system calls the load's are: the same process, or one of its own */
	int status;   /* of the process, when it has ended while it was watched */
	struct tracer *tracer; /* while it is watched, or NULL */
	int fd;                /* of orders and samples */
	int errors;            /* what it says on its standard error */
	char failed[96];       /* why it is not there any more, or "" */
};

/*
 * Starts the process and waits until its runner is made. Whether that went well; see failed. The
 * latencies of an echo are added to a histogram that both processes share, or NULL.
 */
bool worker_start(struct worker *worker, const struct peer *peer, const struct load *load,
		  const struct place *place, struct histogram *latencies);

/* Has the load done so many times; whether that went well. */
bool worker_measure(struct worker *worker, const struct order *order, struct sample *ret_sample);

/*
 * From now on the system calls of turns are counted, which makes their times worthless; whether that
 * is permitted. Then worker_unwatch ends it, and turns are what they were.
 */
bool worker_watch(struct worker *worker);
void worker_unwatch(struct worker *worker);

/* Ends the process. */
void worker_stop(struct worker *worker);

#endif
