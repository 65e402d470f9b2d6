/* SPDX-License-Identifier: MIT */
/* Which cores sender and receiver are pinned to, if nobody says. */
#ifndef BENCH_HARNESS_CPUS_H
#define BENCH_HARNESS_CPUS_H

#include <stddef.h>

/*
 * Two CPUs that this process may use: on different cores where there are two, else on different
 * threads of one, else the same one twice.
 */
void cpus_choose(int *ret_sender, int *ret_receiver);

#define CPUS_MAX 256

/*
 * All that this process may use: first one of each core, then the other threads of the cores.
 * Returns how many, CPUS_MAX at most.
 */
size_t cpus_list(int cpus[CPUS_MAX]);

#endif
