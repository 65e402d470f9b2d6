/* SPDX-License-Identifier: MIT */
/*
 * Calls all handlers: after reaping, never during it. A record is released before its handler is
 * called and not accessed afterwards: the handler may free it.
 */
#include <limits.h>
#include <sluice/timer.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/queue.h"
#include "base/wheel.h"
#include "core/record.h"
#include "core/record_list.h"
#include "engine/budget.h"
#include "engine/owner.h"
#include "engine/post.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "socket/socket.h"
#include "trace/trace.h"

#define BUDGET_WAITS 16 /* turns that records may fill before events and posts get a share */

/* The share that events and posts get in any case. */
static uint64_t budget_min_share(uint64_t budget)
{
	return budget / 16 + 1;
}

bool sluice__deliverable_records(const struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	return engine->done.first || !sluice__fifo_is_empty(&engine->events) ||
	       !sluice__fifo_is_empty(&engine->posts.taken) ||
	       !sluice__stack_is_empty(&engine->posts.pushed, __ATOMIC_RELAXED);
}

bool sluice__deliverable(const struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	return sluice__deliverable_records(engine) ||
	       sluice__wheel_next(&engine->timers) <= engine->now_ns;
}

static inline void record_give_back(struct sluice_engine *engine, struct sluice_args *args,
				    bool traced)
{
	sluice__record_publish(engine, args);
	if (traced)
		sluice__trace_end(sluice__record_socket(args), args);
	sluice__record_release(args);
}

/*
 * Delivers the chain from `first` on and returns the rest that exceeds the budget. Compiled twice,
 * so that there is no test per record for a trace.
 */
static inline __attribute__((always_inline)) struct sluice_args *deliver_chain(
	struct sluice_engine *engine, struct sluice_args *first, int *budget, bool traced)
{
	int left = *budget;

	sluice__assert(first && left > 0);
	for (;;) {
		struct sluice_args *args = first;
		struct sluice_socket *socket = sluice__record_socket(args);
		sluice_completed_fn *completed = args->completed;

		first = args->run.next;
		/* Two cache lines of the next record, while the handler of this one runs. */
		__builtin_prefetch(first);
		__builtin_prefetch(
			(void *)((uintptr_t)first + offsetof(struct sluice_args, run.total)));
		record_give_back(engine, args, traced);
		if (likely(completed))
			completed(socket, args);
		if (--left == 0 || !first)
			break;
	}
	*budget = left;
	return first;
}

static __attribute__((noinline)) struct sluice_args *deliver_traced(struct sluice_engine *engine,
								    struct sluice_args *first,
								    int *budget)
{
	return deliver_chain(engine, first, budget, true);
}

static int deliver_records(struct sluice_engine *engine, int budget)
{
	int left = budget;

	while (engine->done.first && left > 0) {
		struct sluice_args **end;
		struct sluice_args *first = sluice__chain_take_all(&engine->done, &end);

		if (unlikely(engine->trace)) {
			int traced_left = left; /* so that `left` stays in a register otherwise */

			first = deliver_traced(engine, first, &traced_left);
			left = traced_left;
		} else {
			first = deliver_chain(engine, first, &left, false);
		}
		if (unlikely(first))
			sluice__chain_put_back(&engine->done, first, end);
	}
	engine->done.taken += (uint64_t)(budget - left);
	engine->statistics.records_completed += (uint64_t)(budget - left);
	return budget - left;
}

static void deliver_closed(struct sluice_socket *socket)
{
	struct sluice__closed *closed =
		__atomic_exchange_n(&socket->closed, NULL, __ATOMIC_ACQUIRE);

	if (!closed)
		return;
	socket->engine->statistics.handlers++;
	closed->function(socket, closed->token);
	free(closed);
}

static void deliver_drained(struct sluice_socket *socket)
{
	const struct sluice__marks *marks = socket->marks;

	if (!marks->drained)
		return;
	socket->engine->statistics.handlers++;
	marks->drained(socket, marks->drained_token);
}

/* Not if the queue has fallen to the low mark meanwhile. */
static void deliver_congested(struct sluice_socket *socket)
{
	const struct sluice__marks *marks = socket->marks;

	if (!marks->congested || !(socket->state & SLUICE__ST_ABOVE_HIGH))
		return;
	socket->engine->statistics.handlers++;
	marks->congested(socket, marks->congested_token);
}

static void socket_deliver_events(struct sluice_socket *socket, uint32_t events)
{
	if (events & SLUICE__EVENT_DRAINED)
		deliver_drained(socket);
	if (events & SLUICE__EVENT_CONGESTED)
		deliver_congested(socket);
	if (events & SLUICE__EVENT_ACCEPTED)
		sluice__accepter_deliver(socket);
	if (events & SLUICE__EVENT_RECEIVED)
		sluice__receiver_deliver(socket);
	if (events & SLUICE__EVENT_CLOSED)
		deliver_closed(socket);
}

/* Each socket that is in the list now, once: those added meanwhile wait for the next turn. */
static void deliver_events(struct sluice_engine *engine)
{
	const struct sluice__link *last = sluice__fifo_last(&engine->events);
	struct sluice__link *link = NULL;

	while (link != last && sluice__within_budget(&engine->budget, &engine->statistics)) {
		struct sluice_socket *socket;
		uint32_t events;

		link = sluice__fifo_pop(&engine->events);
		socket = sluice__element(link, struct sluice_socket, event_link);
		events = socket->events;
		socket->events = 0;
		socket_deliver_events(socket, events);
	}
}

static int deliver_timers(struct sluice_engine *engine, int budget)
{
	struct sluice__wheel_node *node;
	int handlers = 0;

	sluice__wheel_expire_begin(&engine->timers, engine->now_ns);
	while (handlers < budget && (node = sluice__wheel_expire(&engine->timers))) {
		struct sluice_timer *timer =
			(struct sluice_timer *)((char *)node -
						offsetof(struct sluice_timer, reserved));

		timer->expired(engine, timer);
		handlers++;
	}
	return handlers;
}

/*
 * Events and posts get what records leave of the budget. Handlers of records release memory; those
 * of events and posts start operations. Each operation started therefore counts as a fraction of a
 * handler, and while records use up the budget, events and posts wait for up to BUDGET_WAITS turns.
 */
static uint64_t budget_left_by_records(struct sluice_engine *engine, uint64_t budget, uint64_t used)
{
	if (used < budget) {
		engine->budget.waits = 0;
		return budget - used;
	}
	if (++engine->budget.waits < BUDGET_WAITS)
		return 0;
	engine->budget.waits = 0;
	return budget_min_share(budget);
}

static void deliver_rest(struct sluice_engine *engine, uint64_t left, uint64_t budget)
{
	uint64_t before = sluice__budget_used(&engine->statistics);

	if (left == 0)
		return;
	engine->budget.end = before + left * SLUICE__STARTS_A_HANDLER;
	if (!sluice__fifo_is_empty(&engine->events))
		deliver_events(engine);
	if (sluice__fifo_is_empty(&engine->posts.taken))
		return;
	/* Posts get a minimum share, however many events were delivered. */
	before = sluice__budget_used(&engine->statistics) +
		 budget_min_share(budget) * SLUICE__STARTS_A_HANDLER;
	if (engine->budget.end < before)
		engine->budget.end = before;
	sluice__posts_deliver(engine);
}

int sluice__deliver(struct sluice_engine *engine)
{
	int budget = engine->options.handler_budget ? (int)engine->options.handler_budget : INT_MAX;
	uint64_t before = engine->statistics.handlers;
	int records;

	sluice__assert_owner(engine);
	sluice__assert(!engine->delivering);
	if (unlikely(engine->trace))
		sluice__trace_turn(engine);
	engine->delivering = true;
	engine->busy++;
	records = deliver_records(engine, budget);
	engine->statistics.handlers += (uint64_t)records;
	if (sluice__wheel_next(&engine->timers) <= engine->now_ns)
		engine->statistics.handlers += (uint64_t)deliver_timers(engine, budget);
	if (!sluice__fifo_is_empty(&engine->events) || !sluice__fifo_is_empty(&engine->posts.taken))
		deliver_rest(engine,
			     budget_left_by_records(engine, (uint64_t)budget, (uint64_t)records),
			     (uint64_t)budget);
	engine->busy--;
	engine->delivering = false;
	if (unlikely(!sluice__fifo_is_empty(&engine->dead_sockets)))
		sluice__sockets_free_dead(engine);
	return (int)(engine->statistics.handlers - before);
}
