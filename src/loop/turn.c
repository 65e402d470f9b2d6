/* SPDX-License-Identifier: MIT */
/*
 * One turn: takes the inbox, expires deadlines, transmits, enters the kernel once, reaps and
 * settles all completions. Handlers run afterwards (deliver.c); what they start is queued for the
 * next turn.
 */
#include <errno.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "core/plan.h"
#include "core/record.h"
#include "engine/close_wait.h"
#include "engine/deadline.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/post.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "engine/stats.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"

#define REAP 256u /* completions per call of the backend */

/* Not inline: the array would be in the frame of every turn. */
static __attribute__((noinline)) void reap(struct sluice_engine *engine)
{
	struct sluice__completion completions[REAP];
	uint64_t all = 0;
	uint32_t count;

	sluice__assert_owner(engine);
	do {
		count = engine->backend->reap(engine, completions, REAP);
		for (uint32_t i = 0; i < count; i++)
			sluice__complete(engine, &completions[i]);
		all += count;
	} while (count == REAP);
	if (all) {
		engine->statistics.completions += all;
		engine->statistics.turn_completions[sluice__bucket(all)]++;
	}
}

/* Receivers that waited for buffers, which have been returned. */
static void resume_receivers(struct sluice_engine *engine)
{
	if (unlikely(engine->receive_pool.kept))
		sluice__receiver_resume_all(engine);
	if (unlikely(sluice__receiver_can_resume(engine)))
		sluice__receiver_resume_waiting(engine);
}

static __attribute__((noinline)) void take_inbox_lists(struct sluice_engine *engine)
{
	sluice__mailbox_take(engine);
	sluice__intents_take(engine);
	sluice__buffers_take_returned(engine);
	sluice__posts_take(engine);
}

/*
 * Most turns find all four lists empty: one test. Relaxed: what is pushed after it is found by
 * inbox_is_pending before the engine sleeps, or by the next turn.
 */
static inline void take_inbox(struct sluice_engine *engine)
{
	if (unlikely(sluice__stack_top(&engine->inbox.mailbox) |
		     sluice__stack_top(&engine->inbox.intents) |
		     sluice__stack_top(&engine->receive_pool.returned) |
		     sluice__stack_top(&engine->posts.pushed)))
		take_inbox_lists(engine);
}

/* Checked after setting engine->wakeup.asleep: see sluice__engine_wake_if_asleep. */
static bool inbox_is_pending(const struct sluice_engine *engine)
{
	return !sluice__stack_is_empty(&engine->inbox.mailbox, __ATOMIC_SEQ_CST) ||
	       !sluice__stack_is_empty(&engine->inbox.intents, __ATOMIC_SEQ_CST) ||
	       !sluice__stack_is_empty(&engine->posts.pushed, __ATOMIC_SEQ_CST) ||
	       !sluice__stack_is_empty(&engine->receive_pool.returned, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&engine->wakeup.woken, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&engine->stopping, __ATOMIC_SEQ_CST);
}

static bool has_work(const struct sluice_engine *engine)
{
	return engine->done.first || !sluice__fifo_is_empty(&engine->ready) ||
	       sluice__deliverable(engine) || sluice__receiver_can_resume(engine);
}

/* How long the turn may wait, in ns: 0 while there is work, -1 without limit. */
static int64_t wait_time(const struct sluice_engine *engine, uint64_t until_ns)
{
	uint64_t next;

	if (has_work(engine))
		return 0;
	next = sluice__deadline_next(engine);
	if (next > until_ns)
		next = until_ns;
	if (next == UINT64_MAX)
		return -1;
	if (next <= engine->now_ns)
		return 0;
	next -= engine->now_ns;
	return next < SLUICE__WAIT_MAX_NS ? (int64_t)next : SLUICE__WAIT_MAX_NS;
}

/* Time-out of the wait. It is for one completion if there is no budget or waiting for several did not pay. */
static __attribute__((noinline)) int64_t wait_for_several(struct sluice_engine *engine,
							  uint64_t until_ns)
{
	int64_t budget = engine->options.wait_budget_ns;
	int64_t wait;

	/* The budget counts from here. */
	engine->now_ns = sluice__now();
	wait = wait_time(engine, until_ns);
	if (wait == 0)
		return 0;
	engine->waits.asked = sluice__plan_wait(&engine->waits, engine->armed_requests);
	if (engine->waits.asked < 2)
		return wait;
	engine->statistics.waits_several++;
	return wait < 0 || wait > budget ? budget : wait;
}

static bool backend_is_idle(const struct sluice_engine *engine)
{
	return engine->backend->is_idle && engine->backend->is_idle(engine);
}

static void submission_made(struct sluice_engine *engine)
{
	engine->ways.submitted_before = engine->statistics.submitted;
	engine->arena.used = 0;
}

/* Enters the kernel and reaps. */
static int turn_enter(struct sluice_engine *engine, uint64_t until_ns)
{
	int64_t wait;
	int error = 0;
	bool idle;

	engine->waits.asked = 1;
	if (unlikely(engine->options.wait_budget_ns))
		wait = wait_for_several(engine, until_ns);
	else
		wait = wait_time(engine, until_ns);

	if (wait != 0) {
		__atomic_store_n(&engine->wakeup.asleep, 1, __ATOMIC_SEQ_CST);
		if (inbox_is_pending(engine)) {
			wait = 0;
			engine->waits.asked = 1;
		}
	}
	idle = wait == 0 && backend_is_idle(engine);
	if (!idle)
		error = engine->backend->enter(engine, wait);
	__atomic_store_n(&engine->wakeup.asleep, 0, __ATOMIC_RELAXED);
	submission_made(engine);
	if (!idle)
		reap(engine);
	return error;
}

static void cancel_request(struct sluice_engine *engine, struct sluice__request *request)
{
	if (request->armed && request->cancelling)
		engine->backend->cancel(engine, request);
}

/* After a permanent failure of enter, requests cancelled before would never complete. */
static __attribute__((noinline, cold)) void cancel_requests_again(struct sluice_engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	for (struct sluice_socket *socket = engine->sockets; socket; socket = socket->next) {
		struct sluice__request *sending = sluice__zc_send_request(socket);

		cancel_request(engine, &socket->in);
		cancel_request(engine, &socket->out);
		if (sending != &socket->out)
			cancel_request(engine, sending);
	}
	pthread_mutex_unlock(&engine->lock);
}

/* Reads the clock only if a deadline, a timer or a timeout needs it. */
static void turn_update_time(struct sluice_engine *engine, uint64_t until_ns)
{
	if (!sluice__deadline_any(engine) && (until_ns == 0 || until_ns == UINT64_MAX))
		return;
	engine->now_ns = sluice__now();
	sluice__deadline_expire(engine);
}

static void learn_from_wait(struct sluice_engine *engine, uint64_t completions_before)
{
	uint32_t brought = (uint32_t)(engine->statistics.completions - completions_before);

	if (engine->waits.asked > 1 && brought >= engine->waits.asked)
		engine->statistics.waits_filled++;
	sluice__plan_waited(&engine->waits, engine->waits.asked, brought);
}

int sluice__turn(struct sluice_engine *engine, uint64_t until_ns)
{
	uint64_t completions;
	int error;

	sluice__assert_owner(engine);
	sluice__assert(!engine->delivering);
	engine->busy++;
	engine->statistics.turns++;
	take_inbox(engine);
	turn_update_time(engine, until_ns);
	sluice__transmit(engine);
	completions = engine->statistics.completions;
	error = turn_enter(engine, until_ns);
	resume_receivers(engine);
	if (unlikely(engine->options.wait_budget_ns))
		learn_from_wait(engine, completions);
	if (unlikely(error && error != -EINTR))
		cancel_requests_again(engine);
	if (unlikely(!sluice__fifo_is_empty(&engine->lending)))
		sluice__lend_all(engine);
	turn_update_time(engine, until_ns);
	engine->busy--;
	return error;
}

void sluice__push_out(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	engine->busy++;
	take_inbox(engine);
	sluice__transmit(engine);
	engine->backend->submit(engine);
	submission_made(engine);
	engine->busy--;
}

/* For an embedding loop: submits everything, and arms the descriptor for pending work. */
void sluice__listen_again(struct sluice_engine *engine)
{
	bool ready;

	sluice__assert_owner(engine);
	sluice__assert(engine->embedded);
	sluice__push_out(engine);
	__atomic_store_n(&engine->wakeup.asleep, 1, __ATOMIC_SEQ_CST);
	ready = has_work(engine) || inbox_is_pending(engine);
	engine->backend->listen(engine, sluice__deadline_next(engine), ready);
}

static int run_check(struct sluice_engine *engine)
{
	int owner;

	if (!engine)
		return -EINVAL;
	if (sluice__dead(engine) & SLUICE__DEAD_FORKED)
		return -EBADF;
	owner = likely(sluice__is_owner(engine)) ? 1 : sluice__engine_enter(engine);
	if (owner <= 0)
		return owner ? owner : -EPERM;
	return engine->delivering ? -EDEADLK : 0;
}

static uint64_t run_deadline(int64_t timeout_ns)
{
	if (timeout_ns < 0)
		return UINT64_MAX;
	return timeout_ns ? sluice__now() + (uint64_t)timeout_ns : 0;
}

static int turn_without_ring_interrupt(struct sluice_engine *engine, uint64_t until_ns)
{
	int error = sluice__turn(engine, until_ns);

	return unlikely(error == -EINTR) && sluice__ring_closed_interrupts() ? 0 : error;
}

int sluice_engine_run(struct sluice_engine *engine, int64_t timeout_ns)
{
	int error = run_check(engine);
	uint64_t until_ns = run_deadline(timeout_ns);
	int handlers;
	bool woken;

	if (error)
		return error;
	if (engine->embedded)
		engine->backend->quiet(engine);
	do {
		sluice__turns_begin(&engine->close_waits);
		error = turn_without_ring_interrupt(engine, until_ns);
		if (engine->done.first || sluice__deliverable(engine))
			sluice__turns_end(&engine->close_waits);
		handlers = sluice__deliver(engine);
		woken = __atomic_load_n(&engine->wakeup.woken, __ATOMIC_RELAXED) &&
			__atomic_exchange_n(&engine->wakeup.woken, 0, __ATOMIC_ACQ_REL);
	} while (!handlers && !woken && !error && engine->now_ns < until_ns &&
		 !__atomic_load_n(&engine->stopping, __ATOMIC_RELAXED));
	/* The thread of engine_start calls this function again immediately. */
	if (engine->started)
		sluice__turns_begin(&engine->close_waits);
	else
		sluice__turns_end(&engine->close_waits);
	if (engine->embedded)
		sluice__listen_again(engine);
	if (handlers || woken)
		return handlers;
	return error;
}

int sluice_engine_flush(struct sluice_engine *engine)
{
	int error = sluice__check_owner(engine);

	if (error)
		return error;
	sluice__push_out(engine);
	sluice__listen_if_idle(engine);
	return 0;
}

/* sluice__check_owner, inline for the owner of a live engine. */
static inline int check_owner(struct sluice_engine *engine)
{
	if (likely(engine && !sluice__dead(engine) && sluice__is_owner(engine)))
		return 0;
	return sluice__check_owner(engine);
}

int sluice_batch_begin(struct sluice_engine *engine)
{
	int error = check_owner(engine);

	if (unlikely(error))
		return error;
	engine->batches++;
	engine->busy++;
	return 0;
}

int sluice_batch_end(struct sluice_engine *engine)
{
	int error = check_owner(engine);

	if (unlikely(error))
		return error;
	if (!engine->batches)
		return -EINVAL;
	engine->batches--;
	engine->busy--;
	if (engine->batches)
		return 0;
	sluice__push_out(engine);
	sluice__listen_if_idle(engine);
	return 0;
}

void sluice_engine_wake(struct sluice_engine *engine)
{
	int saved = errno;

	if (!engine)
		return;
	__atomic_store_n(&engine->wakeup.woken, 1, __ATOMIC_SEQ_CST);
	sluice__engine_wake_if_asleep(engine);
	errno = saved;
}
