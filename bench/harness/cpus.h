/* SPDX-License-Identifier: MIT */
/* The default cores of sender and receiver. */
#ifndef BENCH_HARNESS_CPUS_H
#define BENCH_HARNESS_CPUS_H

#include <stddef.h>

/*
 * Two CPUs that this process may use: on different cores if possible, else two threads of one core,
 * else the same CPU twice.
 */
void cpus_choose(int *ret_sender, int *ret_receiver);

#define CPUS_MAX 256

/*
 * All CPUs that this process may use: first one of each core, then the other threads of the cores.
 * Returns their number, CPUS_MAX at most.
 */
size_t cpus_list(int cpus[CPUS_MAX]);

#endif
