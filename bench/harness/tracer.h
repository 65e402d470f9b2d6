/* SPDX-License-Identifier: MIT */
/*
 * Counts the system calls of another process, of all its threads and of what it starts meanwhile,
 * by ptrace(2): the same way for whoever it is. Each call stops the process twice, so nothing that
 * is counted can be timed. One tracer at a time.
 */
#ifndef BENCH_HARNESS_TRACER_H
#define BENCH_HARNESS_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tracer;

/* Begins to count. NULL where that is not permitted: by Yama, in some containers. */
struct tracer *tracer_start(pid_t process);

/*
 * Lets the process work until the descriptor has something to read and every thread is at rest
 * again. Whether it has, within the time.
 */
bool tracer_wait(struct tracer *tracer, int fd, int timeout_ms);

/*
 * Calls so far. sched_yield(2) is none of them: it is how threads of a load wait without a word to
 * the kernel, and how often they do so says only how slow it is to be counted.
 */
uint64_t tracer_calls(const struct tracer *tracer);

/*
 * Lets the process go, which from then on is as fast as ever; one that does not stop for that is
 * killed. Whether it is still there; if not, its status is as from waitpid(2), which has been
 * called for it.
 */
bool tracer_stop(struct tracer *tracer, int *ret_status);

#endif
