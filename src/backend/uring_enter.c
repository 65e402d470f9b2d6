/* SPDX-License-Identifier: MIT */
/*
 * The submission entries, and io_uring_enter(2). liburing enters again if the kernel returns the
 * number of submitted entries and nothing has completed. That would lose a signal that ended the
 * wait, since the return value hides it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "base/assert.h"
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/state.h"

#define SECOND INT64_C(1000000000)

/* Publishes the prepared entries to the kernel. Returns the number it has not consumed yet. */
static unsigned int sq_publish(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;

	sq->sqe_head = sq->sqe_tail;
	__atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
	return io_uring_sq_ready(ring);
}

/* The number of entries submitted, or -errno. */
static int ring_enter(struct sluice_engine *engine, unsigned int given, unsigned int wanted,
		      unsigned int flags, const struct __kernel_timespec *time)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_getevents_arg argument = {.ts = (uintptr_t)time};

	engine->statistics.enters++;
	flags |= uring->enter_flags;
	if (!time)
		return io_uring_enter2(uring->ring.enter_ring_fd, given, wanted, flags, NULL,
				       _NSIG / 8);
	return io_uring_enter2(uring->ring.enter_ring_fd, given, wanted,
			       flags | IORING_ENTER_EXT_ARG, (void *)&argument, sizeof argument);
}

/* 0 if the next call may succeed; otherwise the error. */
static int permanent_error(int result)
{
	switch (result) {
	case -ETIME:
	case -EBUSY: /* completion queue overflow: it is reaped next */
	case -EAGAIN:
	case -ENOMEM:
	case -EBADR: /* the kernel had no memory for a completion */
		return 0;
	default:
		return result < 0 ? result : 0;
	}
}

/* Before 5.18 the kernel stops after an entry that it rejects, hence the loop. */
int sluice__uring_submit(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	unsigned int given;
	int taken = 1;

	sluice__assert_owner(engine);
	while (taken > 0 && (given = sq_publish(&uring->ring)) > 0)
		taken = ring_enter(engine, given, 0,
				   sluice__uring_has_pending(uring) ? IORING_ENTER_GETEVENTS : 0,
				   NULL);
	return permanent_error(taken);
}

struct io_uring_sqe *sluice__uring_entry(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe;

	sluice__assert_owner(engine);
	sqe = io_uring_get_sqe(&uring->ring);
	if (sqe)
		return sqe;
	if (uring->sqpoll)
		return sluice__uring_sqpoll_entry(engine);
	/* The queue is full: submit it. */
	sluice__uring_submit(engine);
	return io_uring_get_sqe(&uring->ring);
}

struct msghdr *sluice__uring_message(struct sluice__uring *uring, const struct io_uring_sqe *sqe)
{
	struct msghdr *message = &uring->messages[sqe - uring->ring.sq.sqes];

	memset(message, 0, sizeof *message);
	return message;
}

/*
 * Before 5.11, io_uring_enter(2) takes no timeout. A timeout entry bounds the wait instead; it also
 * completes with the first completion of another entry. False: the queue is full.
 */
static bool add_timeout_entry(struct sluice_engine *engine, const struct __kernel_timespec *time)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe = sluice__uring_entry(engine);

	if (!sqe)
		return false;
	uring->wait = *time;
	io_uring_prep_timeout(sqe, &uring->wait, 1, 0);
	io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_IGNORED);
	return true;
}

/* With SQPOLL the kernel thread takes the entries; it has to be woken if it sleeps. */
static unsigned int sqpoll_wakeup_flag(const struct io_uring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP
		       ? IORING_ENTER_SQ_WAKEUP
		       : 0;
}

/* A completed timeout entry ends a wait, however many completions it is for. */
static bool has_timeout_completed(const struct sluice__uring *uring)
{
	const struct io_uring_cqe *cqe;
	unsigned int head;

	if (!uring->timeout_armed)
		return false;
	io_uring_for_each_cqe(&uring->ring, head, cqe)
	{
		if (cqe->user_data == SLUICE__INTERNAL_TIMEOUT)
			return true;
	}
	return false;
}

/*
 * Whether a signal ended a wait that did not fail. The kernel reports the signal only if it
 * submitted nothing and nothing has completed. Otherwise the wait ended early, with fewer
 * completions than it was for.
 */
static bool was_interrupted(const struct sluice_engine *engine, unsigned int given,
			    unsigned int wanted, int64_t wait_ns)
{
	const struct sluice__uring *uring = engine->uring;
	unsigned int ready = io_uring_cq_ready(&uring->ring);

	if (ready >= wanted || ready >= uring->ring.cq.ring_entries || (!ready && !given))
		return false;
	if (wait_ns > 0 && sluice__now() >= engine->now_ns + (uint64_t)wait_ns)
		return false;
	return !has_timeout_completed(uring);
}

int sluice__uring_wait(struct sluice_engine *engine, int64_t wait_ns)
{
	struct sluice__uring *uring = engine->uring;
	struct __kernel_timespec time = {.tv_sec = wait_ns / SECOND, .tv_nsec = wait_ns % SECOND};
	bool own = engine->capabilities & SLUICE_CAPABILITY_EXT_ARG;
	unsigned int flags = IORING_ENTER_GETEVENTS | uring->wait_flags;
	unsigned int given, wanted = own && engine->waits.asked > 1 ? engine->waits.asked : 1;
	int result;

	sluice__assert_owner(engine);
	if (wait_ns > 0 && !own && !add_timeout_entry(engine, &time))
		wanted = 0;
	given = sq_publish(&uring->ring);
	if (uring->sqpoll) {
		flags |= sqpoll_wakeup_flag(&uring->ring);
		given = 0;
	}
	result = ring_enter(engine, given, wanted, flags, wait_ns > 0 && own ? &time : NULL);
	if (result < 0)
		return permanent_error(result);
	/* After an entry that could not be submitted, the kernel does not wait. */
	if ((unsigned int)result < given)
		return 0;
	return was_interrupted(engine, given, wanted, wait_ns) ? -EINTR : 0;
}

int sluice__uring_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct sluice__uring *uring = engine->uring;
	unsigned int given;

	sluice__assert_owner(engine);
	if (wait_ns != 0) {
		if (!io_uring_sq_ready(&uring->ring) && io_uring_cq_ready(&uring->ring))
			return 0;
		return sluice__uring_wait(engine, wait_ns);
	}
	if (!io_uring_sq_ready(&uring->ring) && !sluice__uring_must_enter(uring))
		return 0;
	given = sq_publish(&uring->ring);
	return permanent_error(ring_enter(engine, given, 0, IORING_ENTER_GETEVENTS, NULL));
}

/* ---- after a permanent failure of io_uring_enter(2) ---- */

/*
 * A seccomp filter installed after the ring was set up causes it. The ring completes nothing any
 * more, so requests complete here when they are cancelled. Closing the ring releases them in the
 * kernel.
 */
void sluice__uring_abandon(struct sluice__uring *uring, struct sluice__request *request)
{
	sluice__assert(uring->failed && request->cancelling);
	sluice__pool_put(&uring->abandoned, &request->link);
}

uint32_t sluice__uring_reap_abandoned(struct sluice__uring *uring,
				      struct sluice__completion *completions, uint32_t max)
{
	uint32_t count = 0;

	while (!sluice__pool_is_empty(&uring->abandoned) && count < max)
		completions[count++] = (struct sluice__completion){
			.request = sluice__element(sluice__pool_get(&uring->abandoned),
						   struct sluice__request, link),
			.result = -ECANCELED};
	return count;
}
