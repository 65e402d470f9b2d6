/* SPDX-License-Identifier: MIT */
/*
 * A side in a process of its own, with a receiver of its own. So one side's threads, memory and
 * descriptors are no other's, its CPU time is its process's, and one that breaks down takes nothing
 * with it.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "histogram.h"
#include "side.h"

/* Where everything happens. */
struct place {
	int sender_cpu;
	int receiver_cpu;
	int nap_us;       /* that the receiver sleeps after each look */
	int spin_percent; /* by which ours is made slower, to test that this is found */
};

/* One turn of a side. */
struct sample {
	uint64_t wall_ns;
	uint64_t cpu_ns; /* of the process: user and system, kernel workers included */
	bool copied;     /* by the kernel, what was to go without a copy */
	uint64_t beside; /* parts of a file that were sent meanwhile */
	uint64_t p50_ns; /* of an echo: latencies */
	uint64_t p99_ns;
	uint64_t calls;  /* of a turn that is watched: system calls, those around it included */
	uint64_t asides; /* of them, made between loads by what measures */
};

/* What to measure. */
struct order {
	uint64_t times;       /* that the load is to be done; 0 only where it is watched */
	uint64_t interval_ns; /* of an echo, between two questions; 0: as fast as it goes */
	bool watched;         /* nothing that is not measured goes before; host_measure says it */
};

struct tracer;

struct host {
	pid_t process;
	pid_t worker; /* whose system calls the load's are: the same process, or one of its own */
	int status;   /* of the process, when it has ended while it was watched */
	struct tracer *tracer; /* while it is watched, or NULL */
	int fd;                /* of orders and samples */
	int errors;            /* what it says on its standard error */
	char failed[96];       /* why it is not there any more, or "" */
};

/*
 * Starts the process and waits until its side is made. Whether that went well; see failed. The
 * latencies of an echo are added to a histogram that both processes share, or NULL.
 */
bool host_start(struct host *host, const struct peer *peer, const struct load *load,
		const struct place *place, struct histogram *latencies);

/* Has the load done so many times; whether that went well. */
bool host_measure(struct host *host, const struct order *order, struct sample *ret_sample);

/*
 * From now on the system calls of turns are counted, which makes their times worthless; whether that
 * is permitted. Then host_unwatch ends it, and turns are what they were.
 */
bool host_watch(struct host *host);
void host_unwatch(struct host *host);

/* Ends the process. */
void host_stop(struct host *host);

#endif
