/* SPDX-License-Identifier: MIT */
/* The eventfd by which the ring wakes a foreign loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/uring.h"

#define TRIES 2 /* the first completion is signalled by every kernel */

void sluice__uring_renew_event(struct sluice__uring *uring)
{
	io_uring_unregister_eventfd(&uring->ring);
	io_uring_register_eventfd(&uring->ring, uring->event_fd);
}

/*
 * Later, kernels before 5.18 would make the registration wait until no request is in flight, and one
 * that waits for wake-ups always is.
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

static bool was_signalled(const struct sluice__uring *uring)
{
	uint64_t count;

	return read(uring->event_fd, &count, sizeof count) == sizeof count;
}

/* Completes a poll of the pipe, and returns whether that was signalled without a call. */
static bool is_signalled(struct sluice__uring *uring, const int pipe[2])
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	bool signalled;
	char byte = 0;

	if (!sqe)
		return false; /* unknown */
	io_uring_prep_poll_add(sqe, pipe[0], POLLIN);
	io_uring_sqe_set_data64(sqe, SLUICE__OURS_IGNORED);
	io_uring_submit_and_get_events(&uring->ring);
	was_signalled(uring);
	if (write(pipe[1], &byte, 1) != 1)
		return false;
	signalled = was_signalled(uring);
	io_uring_get_events(&uring->ring);
	return read(pipe[0], &byte, 1) == 1 && signalled;
}

/*
 * With deferred task work the kernels 6.12.115 to 6.12.118 signal the first completion only, until
 * the eventfd is registered again. Other completions that arrive meanwhile change nothing: if they
 * are signalled, the kernel does signal more than one. A pipe triggers them: a signal from within the
 * write of another eventfd would be put off.
 */
bool sluice__uring_event_repeats(struct sluice__uring *uring)
{
	bool signalled = true;
	int pipe[2];

	if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return false; /* unknown */
	io_uring_cq_eventfd_toggle(&uring->ring, true);
	for (int i = 0; i < TRIES && signalled; i++)
		signalled = is_signalled(uring, pipe);
	io_uring_cq_eventfd_toggle(&uring->ring, false);
	close(pipe[0]);
	close(pipe[1]);
	/* A signal that was used up by trying may be the only one. */
	sluice__uring_renew_event(uring);
	return signalled;
}
