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
	uint64_t system_calls;
	bool copied;     /* by the kernel, what was to go without a copy */
	bool counted;    /* there is somebody who counts them */
	uint64_t beside; /* parts of a file that were sent meanwhile */
	uint64_t p50_ns; /* of an echo: latencies */
	uint64_t p99_ns;
};

/* What to measure. */
struct order {
	uint64_t times;       /* that the load is to be done */
	uint64_t interval_ns; /* of an echo, between two questions; 0: as fast as it goes */
};

struct host {
	pid_t process;
	int fd;          /* of orders and samples */
	int errors;      /* what it says on its standard error */
	char failed[96]; /* why it is not there any more, or "" */
};

/*
 * Starts the process and waits until its side is made. Whether that went well; see failed. The
 * latencies of an echo are added to a histogram that both processes share, or NULL.
 */
bool host_start(struct host *host, const struct peer *peer, const struct load *load,
		const struct place *place, struct histogram *latencies);

/* Has the load done so many times; whether that went well. */
bool host_measure(struct host *host, const struct order *order, struct sample *ret_sample);

/* Ends the process. */
void host_stop(struct host *host);

#endif
