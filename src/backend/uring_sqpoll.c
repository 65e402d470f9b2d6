/* SPDX-License-Identifier: MIT */
/*
 * SQPOLL: a kernel thread takes the submissions. Submitting means storing the tail of the queue.
 * The kernel is entered only to wake that thread when it sleeps, to wait for completions, and when
 * the queue is full.
 *
 * The kernel thread takes an entry some time after it was submitted, and only then reads what the
 * entry points to. A send's segments are therefore copied, and kept until the entry has been taken.
 * Everything else that entries point to stays valid until completion.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "engine/arena.h"
#include "engine/owner.h"
#include "engine/state.h"

_Static_assert(SLUICE__SQPOLL_SEGMENTS >= SLUICE__SEGMENTS_MAX, "one send always fits");

/* The kernel does not signal that entries were taken, unless the queue is full: poll. */
#define POLL_INTERVAL_NS 20000

static bool sqpoll_is_asleep(const struct io_uring *ring)
{
	return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP;
}

static bool cq_is_overflowing(const struct io_uring *ring)
{
	return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW;
}

static bool has_unsubmitted(const struct io_uring *ring)
{
	return ring->sq.sqe_tail != ring->sq.sqe_head;
}

/* Whether all entries before `position`, an earlier tail, have been taken. */
static bool entries_are_taken(const struct io_uring *ring, unsigned int position)
{
	return ring->sq.sqe_tail - position >= io_uring_sq_ready(ring);
}

/* 0, or -errno: the kernel thread has exited. */
static int sqpoll_submit(struct sluice_engine *engine)
{
	struct io_uring *ring = &engine->uring->ring;
	int given;

	if (!has_unsubmitted(ring))
		return 0;
	engine->statistics.enters += sqpoll_is_asleep(ring);
	given = io_uring_submit(ring);
	return given < 0 && given != -EINTR ? given : 0;
}

void sluice__uring_sqpoll_submit(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	sqpoll_submit(engine);
}

int sluice__uring_sqpoll_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct io_uring *ring = &engine->uring->ring;

	sluice__assert_owner(engine);
	if (cq_is_overflowing(ring)) {
		engine->statistics.enters++;
		io_uring_submit_and_get_events(ring);
		return 0;
	}
	if (wait_ns == 0 || io_uring_cq_ready(ring)) {
		sqpoll_submit(engine);
		return 0;
	}
	return sluice__uring_wait(engine, wait_ns);
}

struct io_uring_sqe *sluice__uring_sqpoll_entry(struct sluice_engine *engine)
{
	struct io_uring *ring = &engine->uring->ring;
	struct io_uring_sqe *sqe;
	int error;

	sluice__assert_owner(engine);
	error = sqpoll_submit(engine);
	while (!(sqe = io_uring_get_sqe(ring)) && !error) {
		engine->statistics.enters++;
		error = io_uring_sqring_wait(ring);
		if (error > 0 || error == -EINTR)
			error = 0;
	}
	return sqe;
}

static void sqpoll_wait_taken(struct sluice_engine *engine, unsigned int position)
{
	const struct timespec pause = {0, POLL_INTERVAL_NS};
	int error = sqpoll_submit(engine);

	while (!error && !entries_are_taken(&engine->uring->ring, position))
		nanosleep(&pause, NULL);
}

void sluice__uring_sqpoll_drain(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	sqpoll_wait_taken(engine, engine->uring->ring.sq.sqe_tail);
}

/* The other half is free once the entries submitted before the last switch have been taken. */
static struct iovec *segments_reserve(struct sluice_engine *engine, uint32_t count)
{
	struct sluice__uring *uring = engine->uring;
	struct sluice__uring_sqpoll *sqpoll = uring->sqpoll;
	unsigned int switched_at;
	struct iovec *first;

	if (io_uring_sq_ready(&uring->ring) == 0) {
		sqpoll->used = 0;
		sqpoll->switched_at = uring->ring.sq.sqe_tail;
	}
	if (sqpoll->used + count > SLUICE__SQPOLL_SEGMENTS) {
		switched_at = sqpoll->switched_at;
		sqpoll->switched_at = uring->ring.sq.sqe_tail;
		sqpoll->half ^= 1;
		sqpoll->used = 0;
		sqpoll_wait_taken(engine, switched_at);
	}
	first = &sqpoll->segments[sqpoll->half][sqpoll->used];
	sqpoll->used += count;
	return first;
}

void sluice__uring_sqpoll_copy_segments(struct sluice_engine *engine,
					struct sluice__request *request)
{
	struct iovec *kept;

	sluice__assert_owner(engine);
	if (request->kind != SLUICE__REQUEST_SEND && request->kind != SLUICE__REQUEST_SEND_ZEROCOPY)
		return;
	/*
	 * A send that blocks may be passed to a kernel worker, where a cancel has been seen to miss
	 * it. MSG_DONTWAIT makes it complete instead, and the engine polls the socket.
	 */
	request->flags |= MSG_DONTWAIT;
	if (request->segment_count < 2)
		return;
	kept = segments_reserve(engine, request->segment_count);
	memcpy(kept, request->segments, request->segment_count * sizeof *kept);
	request->segments = kept;
}
