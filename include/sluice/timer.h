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

/* Runs in the engine's thread, from sluice_engine_run; it may start, move or free the timer. */
typedef void sluice_timer_fn(struct sluice_engine *engine, struct sluice_timer *timer);

/* Yours; all zero with an expired function is valid. Never moved or freed while it is armed. */
struct sluice_timer {
	sluice_timer_fn *expired;
	void *token;       /* yours */
	void *reserved[4]; /* the library's; 0 at first */
};

/*
 * Arms the timer, or moves it if it is armed: expired runs once, timeout_ns from now or up to a
 * millisecond and a turn later, never early. Arming costs the same whatever number is armed.
 * The engine's thread. 0; -EINVAL for NULL, no function or a negative time; -EPERM from another
 * thread; -EBADF while the engine ends, which drops what is armed. Since 0.1.
 */
int sluice_timer_start(struct sluice_engine *engine, struct sluice_timer *timer,
		       int64_t timeout_ns);

/*
 * Disarms the timer: from the return on expired does not run. The engine's thread.
 * 0, also when it was not armed; -EINVAL, -EPERM as above. Since 0.1.
 */
int sluice_timer_stop(struct sluice_engine *engine, struct sluice_timer *timer);

#ifdef __cplusplus
}
#endif
#endif
