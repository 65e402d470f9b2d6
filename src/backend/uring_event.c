/* SPDX-License-Identifier: MIT */
/* The eventfd through which the ring wakes an embedding loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sluice/engine.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/uring.h"
#include "core/record.h"

#define TRIES 2 /* every kernel signals the first completion */

void sluice__uring_renew_event(struct sluice__uring *uring)
{
	io_uring_unregister_eventfd(&uring->ring);
	io_uring_register_eventfd(&uring->ring, uring->event_fd);
}

/*
 * Registered before the ring is enabled: before 5.18, a later registration would wait until no
 * request is in flight, and the poll for wake-ups always is.
 */
int sluice__uring_open_event(struct sluice__uring *uring)
{
	int error;

	uring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uring->event_fd < 0)
		return -errno;
	error = sluice__uring_register(uring, IORING_REGISTER_EVENTFD, &uring->event_fd, 1);
	if (error)
		close(uring->event_fd);
	else
		io_uring_cq_eventfd_toggle(&uring->ring, false);
	return error;
}

bool sluice__uring_consume_event(struct sluice__uring *uring)
{
	uint64_t count;

	if (read(uring->event_fd, &count, sizeof count) != sizeof count)
		return false;
	if (unlikely((uring->refused & SLUICE_CAPABILITY_EVENT_REPEATS) &&
		     (uring->setup & IORING_SETUP_DEFER_TASKRUN)))
		io_uring_unregister_eventfd(&uring->ring);
	return true;
}

/* Completes a poll of the pipe. Returns whether it was signalled without a call into the ring. */
static bool poll_is_signalled(struct sluice__uring *uring, const int pipe[2])
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	bool signalled;
	char byte = 0;

	if (!sqe)
		return false; /* unknown */
	io_uring_prep_poll_add(sqe, pipe[0], POLLIN);
	io_uring_sqe_set_data64(sqe, SLUICE__INTERNAL_IGNORED);
	io_uring_submit_and_get_events(&uring->ring);
	sluice__uring_consume_event(uring);
	if (write(pipe[1], &byte, 1) != 1)
		return false;
	signalled = sluice__uring_consume_event(uring);
	io_uring_get_events(&uring->ring);
	return read(pipe[0], &byte, 1) == 1 && signalled;
}

/*
 * With deferred task work, kernels 6.12.115 to 6.12.118 signal only the first completion until the
 * eventfd is registered again. Concurrent other completions do no harm: if they are signalled, the
 * kernel signals more than one. The trial uses a pipe, because a signal caused by a write to
 * another eventfd is deferred.
 */
bool sluice__uring_event_repeats(struct sluice__uring *uring)
{
	bool signalled = true;
	int pipe[2];

	if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return false; /* unknown */
	io_uring_cq_eventfd_toggle(&uring->ring, true);
	for (int i = 0; i < TRIES && signalled; i++)
		signalled = poll_is_signalled(uring, pipe);
	io_uring_cq_eventfd_toggle(&uring->ring, false);
	close(pipe[0]);
	close(pipe[1]);
	/* The trial may have consumed the only signal. */
	sluice__uring_renew_event(uring);
	return signalled;
}
