/* SPDX-License-Identifier: MIT */
/*
 * Counts the system calls of another process, of all its threads and of those started meanwhile, by
 * ptrace(2): the same way for all peers. Each call stops the process twice, so counted turns are
 * not timed. One tracer at a time.
 */
#ifndef BENCH_HARNESS_TRACER_H
#define BENCH_HARNESS_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tracer;

/* Starts counting. NULL if not permitted: by Yama, or in some containers. */
struct tracer *tracer_start(pid_t process);

/*
 * Lets the process run until the descriptor is readable and every thread is at rest again. Whether
 * this happened within the time.
 */
bool tracer_wait(struct tracer *tracer, int fd, int timeout_ms);

/*
 * Calls so far, without sched_yield(2): threads of a load busy-wait with it, and its number only
 * shows how slow counting is.
 */
uint64_t tracer_calls(const struct tracer *tracer);

/*
 * Detaches from the process, which then runs at full speed; it is killed if it does not stop.
 * Whether it still exists; if not, its status is that of waitpid(2), which has been called for it.
 */
bool tracer_stop(struct tracer *tracer, int *ret_status);

#endif
