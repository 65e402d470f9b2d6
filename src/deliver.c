/* SPDX-License-Identifier: MIT */
/*
 * Handlers run here and nowhere else: after reaping, never inside it. A record is given back before
 * its handler is called, and not touched again: the handler may free it.
 */
#include <limits.h>
#include <stdlib.h>

#include "engine.h"
#include "trace.h"

bool sluice__deliverable_records(const struct sluice_engine *engine)
{
	return engine->done.first || engine->events || engine->posts_taken ||
	       __atomic_load_n(&engine->posts, __ATOMIC_RELAXED);
}

bool sluice__deliverable(const struct sluice_engine *engine)
{
	return sluice__deliverable_records(engine) ||
	       sluice__wheel_next(&engine->timers) <= engine->now_ns;
}

static inline void give_back(struct sluice_engine *engine, struct sluice_args *args, bool traced)
{
	if (unlikely(args->run.extras)) {
		sluice__record_strip(engine, args);
	} else {
		args->error = SLUICE_ERROR_SUCCESS;
		args->bytes_transferred = args->run.total;
	}
	args->flags = 0;
	if (traced)
		sluice__trace_end(sluice__record_socket(args), args);
	sluice__record_release(args);
}

/*
 * first is the engine's no longer; what the budget leaves is returned. Compiled twice: without a
 * trace nothing is asked for each record.
 */
static inline __attribute__((always_inline)) struct sluice_args *deliver_chain(
	struct sluice_engine *engine, struct sluice_args *first, int budget, int *handlers,
	bool traced)
{
	int left = budget - *handlers;

	while (first && left > 0) {
		struct sluice_args *args = first;
		struct sluice_socket *socket = sluice__record_socket(args);
		sluice_completed_fn *completed = args->completed;

		first = args->run.next;
		/* Two lines of the next one, while this one's handler runs. */
		__builtin_prefetch(first);
		__builtin_prefetch((void *)((uintptr_t)first + 64));
		left--;
		give_back(engine, args, traced);
		if (likely(completed))
			completed(socket, args);
	}
	*handlers = budget - left;
	return first;
}

static __attribute__((noinline)) struct sluice_args *deliver_traced(struct sluice_engine *engine,
								    struct sluice_args *first,
								    int budget, int *handlers)
{
	return deliver_chain(engine, first, budget, handlers, true);
}

static int deliver_records(struct sluice_engine *engine, int budget)
{
	int handlers = 0;

	while (engine->done.first && handlers < budget) {
		struct sluice_args **end;
		struct sluice_args *first = sluice__chain_take_all(&engine->done, &end);

		if (unlikely(engine->trace))
			first = deliver_traced(engine, first, budget, &handlers);
		else
			first = deliver_chain(engine, first, budget, &handlers, false);
		if (first)
			sluice__chain_put_back(&engine->done, first, end);
	}
	engine->done.taken += (uint64_t)handlers;
	engine->statistics.records_completed += (uint64_t)handlers;
	return handlers;
}

static int deliver_closed(struct sluice_socket *socket)
{
	struct sluice__closed *closed =
		__atomic_exchange_n(&socket->closed, NULL, __ATOMIC_ACQUIRE);

	if (!closed)
		return 0;
	closed->function(socket, closed->token);
	free(closed);
	return 1;
}

static int deliver_events_of(struct sluice_socket *socket, uint32_t events, int budget)
{
	int handlers = 0;

	if (events & SLUICE__EVENT_DRAINED && socket->drained) {
		socket->drained(socket, socket->drained_token);
		handlers++;
	}
	if (events & SLUICE__EVENT_ACCEPTED)
		handlers += sluice__accepter_deliver(socket, budget - handlers);
	if (events & SLUICE__EVENT_RECEIVED)
		handlers += sluice__receiver_deliver(socket, budget - handlers);
	if (events & SLUICE__EVENT_CLOSED)
		handlers += deliver_closed(socket);
	return handlers;
}

/* The sockets that stand in the list now, each once: what comes back has its turn next time. */
static int deliver_events(struct sluice_engine *engine, int budget)
{
	struct sluice_socket *last =
		(struct sluice_socket *)((char *)engine->events_end -
					 offsetof(struct sluice_socket, event_next));
	int handlers = 0;

	while (engine->events && handlers < budget) {
		struct sluice_socket *socket = engine->events;
		uint32_t events = socket->events;

		engine->events = socket->event_next;
		if (!engine->events)
			engine->events_end = &engine->events;
		socket->events = 0;
		handlers += deliver_events_of(socket, events, budget - handlers);
		if (socket == last)
			break;
	}
	return handlers;
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

int sluice__deliver(struct sluice_engine *engine)
{
	int budget = engine->options.handler_budget ? (int)engine->options.handler_budget : INT_MAX;
	int handlers;

	if (unlikely(engine->trace))
		sluice__trace_turn(engine);
	engine->delivering = true;
	engine->busy++;
	handlers = deliver_records(engine, budget);
	if (engine->events)
		handlers += deliver_events(engine, budget);
	if (sluice__wheel_next(&engine->timers) <= engine->now_ns)
		handlers += deliver_timers(engine, budget);
	if (engine->posts_taken)
		handlers += sluice__posts_deliver(engine, budget);
	engine->busy--;
	engine->delivering = false;
	engine->statistics.handlers += (uint64_t)handlers;
	if (unlikely(engine->dead_sockets))
		sluice__sockets_free_dead(engine);
	return handlers;
}
