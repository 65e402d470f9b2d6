/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sluice/timer.h>

#include "base/wheel.h"
#include "engine/owner.h"
#include "engine/state.h"
#include "loop/loop.h"

_Static_assert(sizeof(struct sluice_timer) == 48, "part of the ABI");

static struct sluice__wheel_node *timer_node(struct sluice_timer *timer)
{
	return (struct sluice__wheel_node *)(void *)timer->reserved;
}

static int timer_check(struct sluice_engine *engine, const struct sluice_timer *timer)
{
	if (!engine || !timer)
		return -EINVAL;
	if (sluice__dead(engine) & SLUICE__DEAD_FORKED)
		return -EBADF;
	return sluice__may_act(engine) ? 0 : -EPERM;
}

int sluice_timer_start(struct sluice_engine *engine, struct sluice_timer *timer, int64_t timeout_ns)
{
	int error = timer_check(engine, timer);
	uint64_t now;

	if (error)
		return error;
	if (!timer->expired || timeout_ns < 0)
		return -EINVAL;
	if (sluice__dead(engine))
		return -EBADF;
	now = sluice__now();
	sluice__wheel_arm(&engine->timers, timer_node(timer),
			  (uint64_t)timeout_ns > UINT64_MAX / 2 - now ? UINT64_MAX / 2
								      : now + (uint64_t)timeout_ns,
			  0);
	sluice__listen_if_idle(engine);
	return 0;
}

int sluice_timer_stop(struct sluice_engine *engine, struct sluice_timer *timer)
{
	int error = timer_check(engine, timer);

	if (!error)
		sluice__wheel_disarm(&engine->timers, timer_node(timer));
	return error;
}
