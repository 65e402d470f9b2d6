/* SPDX-License-Identifier: MIT */
/*
 * The ring's entries, and its one system call. liburing would enter again if the kernel answers with
 * the number of entries that it took and nothing has completed: a signal that ended the wait would be
 * lost, since that number hides it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "engine/state.h"

#define SECOND INT64_C(1000000000)

/* Makes the prepared entries visible to the kernel. Returns how many it has not taken yet. */
static unsigned int publish(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;

	sq->sqe_head = sq->sqe_tail;
	__atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
	return io_uring_sq_ready(ring);
}

/* The entries taken, or -errno. */
static int call(struct sluice_engine *engine, unsigned int given, unsigned int wanted,
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

/* What the engine is told of an answer: 0 if the next call may do better. */
static int lasting(int result)
{
	switch (result) {
	case -ETIME:
	case -EBUSY: /* completions overflow: they are reaped next */
	case -EAGAIN:
	case -ENOMEM:
	case -EBADR: /* the kernel had no memory for a completion */
		return 0;
	default:
		return result < 0 ? result : 0;
	}
}

/* Before 5.18 the kernel stops behind an entry that it refuses. */
int sluice__uring_submit(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	unsigned int given;
	int taken = 1;

	while (taken > 0 && (given = publish(&uring->ring)) > 0)
		taken = call(engine, given, 0,
			     sluice__uring_has_news(uring) ? IORING_ENTER_GETEVENTS : 0, NULL);
	return lasting(taken);
}

struct io_uring_sqe *sluice__uring_entry(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (sqe)
		return sqe;
	if (uring->thread)
		return sluice__uring_thread_entry(engine);
	/* Full: what stands in it goes now. */
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
 * Before 5.11 a wait has no time-out of its own. An entry has, and ends with the first completion
 * of another. False: there is no place for one.
 */
static bool limit(struct sluice_engine *engine, const struct __kernel_timespec *time)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *sqe = sluice__uring_entry(engine);

	if (!sqe)
		return false;
	uring->wait = *time;
	io_uring_prep_timeout(sqe, &uring->wait, 1, 0);
	io_uring_sqe_set_data64(sqe, SLUICE__OURS_IGNORED);
	return true;
}

/* A submission thread takes the entries itself; it is woken if it sleeps. */
static unsigned int wake_thread(const struct io_uring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP
		       ? IORING_ENTER_SQ_WAKEUP
		       : 0;
}

int sluice__uring_wait(struct sluice_engine *engine, int64_t wait_ns)
{
	struct sluice__uring *uring = engine->uring;
	struct __kernel_timespec time = {.tv_sec = wait_ns / SECOND, .tv_nsec = wait_ns % SECOND};
	bool own = engine->capabilities & SLUICE_CAPABILITY_EXT_ARG;
	unsigned int flags = IORING_ENTER_GETEVENTS | uring->wait_flags;
	unsigned int given, wanted = 1;
	int result;

	if (wait_ns > 0 && !own && !limit(engine, &time))
		wanted = 0;
	given = publish(&uring->ring);
	if (uring->thread) {
		flags |= wake_thread(&uring->ring);
		given = 0;
	}
	result = call(engine, given, wanted, flags, wait_ns > 0 && own ? &time : NULL);
	if (result < 0)
		return lasting(result);
	if (!wanted || !given || (unsigned int)result < given || io_uring_cq_ready(&uring->ring))
		return 0;
	/* All were taken and nothing completed: the time is over, or a signal came. */
	if (wait_ns > 0 && sluice__now() >= engine->now_ns + (uint64_t)wait_ns)
		return 0;
	return -EINTR;
}

/* Without the flag only the kernel knows whether it has completions to make. */
static bool must_ask(const struct sluice__uring *uring)
{
	return sluice__uring_has_news(uring) || !(uring->setup & IORING_SETUP_TASKRUN_FLAG);
}

int sluice__uring_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct sluice__uring *uring = engine->uring;
	unsigned int given;

	if (wait_ns != 0) {
		if (!io_uring_sq_ready(&uring->ring) && io_uring_cq_ready(&uring->ring))
			return 0;
		return sluice__uring_wait(engine, wait_ns);
	}
	if (!io_uring_sq_ready(&uring->ring) && !must_ask(uring))
		return 0;
	given = publish(&uring->ring);
	return lasting(call(engine, given, 0, IORING_ENTER_GETEVENTS, NULL));
}

/* ---- what remains when the kernel refuses to be entered ---- */

/*
 * As a seccomp filter does that is installed after the ring was made: the ring answers nothing any
 * more, so requests end when they are cancelled, without it. Closing the ring takes them away from
 * the kernel.
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
