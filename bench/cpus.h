/* SPDX-License-Identifier: MIT */
/* Which cores sender and receiver are pinned to, if nobody says. */
#ifndef BENCH_CPUS_H
#define BENCH_CPUS_H

/*
 * Two CPUs that this process may use: on different cores where there are two, else on different
 * threads of one, else the same one twice.
 */
void cpus_choose(int *ret_sender, int *ret_receiver);

#endif
