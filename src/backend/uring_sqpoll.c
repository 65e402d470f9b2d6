/* SPDX-License-Identifier: MIT */
/*
 * A ring whose submissions a thread of the kernel's takes (SQPOLL). To submit is to store the ring's
 * tail. The kernel is entered to wake that thread when it has gone to sleep, to wait for
 * completions, and where the ring is full.
 *
 * An entry is taken at some time after it was submitted, and what it points at is read then: a
 * send's segments are copied, and stay until their entry has been taken. Everything else that an
 * entry points at lives until it is answered.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "engine/state.h"

_Static_assert(SLUICE__KEPT >= SLUICE__SEGMENTS_MAX, "one send always fits");

/* Nothing tells when a ring that is not full has been taken: it is looked at again and again. */
#define LOOKS_EVERY_NS 20000

static bool is_asleep(const struct io_uring *ring)
{
	return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP;
}

static bool is_overflowing(const struct io_uring *ring)
{
	return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW;
}

static bool has_unsubmitted(const struct io_uring *ring)
{
	return ring->sq.sqe_tail != ring->sq.sqe_head;
}

/* Whether the entries before POSITION, a tail of the past, have been taken. */
static bool is_taken(const struct io_uring *ring, unsigned int position)
{
	return ring->sq.sqe_tail - position >= io_uring_sq_ready(ring);
}

/* 0, or -errno: the kernel's thread is no more. */
static int hand_over(struct sluice_engine *engine)
{
	struct io_uring *ring = &engine->uring->ring;
	int given;

	if (!has_unsubmitted(ring))
		return 0;
	engine->statistics.enters += is_asleep(ring);
	given = io_uring_submit(ring);
	return given < 0 && given != -EINTR ? given : 0;
}

void sluice__uring_thread_submit(struct sluice_engine *engine)
{
	hand_over(engine);
}

int sluice__uring_thread_enter(struct sluice_engine *engine, int64_t wait_ns)
{
	struct io_uring *ring = &engine->uring->ring;

	if (is_overflowing(ring)) {
		engine->statistics.enters++;
		io_uring_submit_and_get_events(ring);
		return 0;
	}
	if (wait_ns == 0 || io_uring_cq_ready(ring)) {
		hand_over(engine);
		return 0;
	}
	return sluice__uring_wait(engine, wait_ns);
}

struct io_uring_sqe *sluice__uring_thread_entry(struct sluice_engine *engine)
{
	struct io_uring *ring = &engine->uring->ring;
	struct io_uring_sqe *sqe;
	int error = hand_over(engine);

	while (!(sqe = io_uring_get_sqe(ring)) && !error) {
		engine->statistics.enters++;
		error = io_uring_sqring_wait(ring);
		if (error > 0 || error == -EINTR)
			error = 0;
	}
	return sqe;
}

static void wait_taken(struct sluice_engine *engine, unsigned int position)
{
	const struct timespec pause = {0, LOOKS_EVERY_NS};
	int error = hand_over(engine);

	while (!error && !is_taken(&engine->uring->ring, position))
		nanosleep(&pause, NULL);
}

void sluice__uring_thread_drain(struct sluice_engine *engine)
{
	wait_taken(engine, engine->uring->ring.sq.sqe_tail);
}

/* The other half is free when the entries are taken that were there when it was left. */
static struct iovec *room(struct sluice_engine *engine, uint32_t count)
{
	struct sluice__uring *uring = engine->uring;
	struct sluice__uring_thread *thread = uring->thread;
	unsigned int left_at;
	struct iovec *first;

	if (io_uring_sq_ready(&uring->ring) == 0) {
		thread->used = 0;
		thread->left_at = uring->ring.sq.sqe_tail;
	}
	if (thread->used + count > SLUICE__KEPT) {
		left_at = thread->left_at;
		thread->left_at = uring->ring.sq.sqe_tail;
		thread->half ^= 1;
		thread->used = 0;
		wait_taken(engine, left_at);
	}
	first = &thread->segments[thread->half][thread->used];
	thread->used += count;
	return first;
}

void sluice__uring_thread_keep(struct sluice_engine *engine, struct sluice__request *request)
{
	struct iovec *kept;

	if (request->kind != SLUICE__REQUEST_SEND && request->kind != SLUICE__REQUEST_SEND_ZEROCOPY)
		return;
	/*
	 * A send that would wait has been seen to end up with a worker of the kernel's, where a cancel
	 * missed it. So it is answered instead, and the engine waits for the socket.
	 */
	request->flags |= MSG_DONTWAIT;
	if (request->segment_count < 2)
		return;
	kept = room(engine, request->segment_count);
	memcpy(kept, request->segments, request->segment_count * sizeof *kept);
	request->segments = kept;
}
