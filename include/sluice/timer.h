/* SPDX-License-Identifier: MIT */
/* Timers on the engine's clock. */
#ifndef SLUICE_TIMER_H
#define SLUICE_TIMER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;
struct sluice_timer;

/* Runs on the engine's thread, from sluice_engine_run; it may start, move or free the timer. */
typedef void sluice_timer_fn(struct sluice_engine *engine, struct sluice_timer *timer);

/* The caller's; all zero with an expired function is valid. Do not move or free it while armed. */
struct sluice_timer {
	sluice_timer_fn *expired;
	void *token;       /* the caller's */
	void *reserved[4]; /* private; initially 0 */
};

/*
 * Arms the timer, or rearms it if it is armed: expired runs once, timeout_ns from now or up to a
 * millisecond and a turn later, never early. The cost does not depend on the number of armed
 * timers. The engine's thread. Returns 0; -EINVAL for NULL, no function or a negative time; -EPERM
 * from another thread; -EBADF while the engine ends, which drops armed timers. Since 0.1.
 */
int sluice_timer_start(struct sluice_engine *engine, struct sluice_timer *timer,
		       int64_t timeout_ns);

/*
 * Disarms the timer: when this returns, expired no longer runs. The engine's thread.
 * Returns 0, also if it was not armed; -EINVAL, -EPERM as above. Since 0.1.
 */
int sluice_timer_stop(struct sluice_engine *engine, struct sluice_timer *timer);

#ifdef __cplusplus
}
#endif
#endif
