/* SPDX-License-Identifier: MIT */
/*
 * An echo by hand: epoll, and one recv(2) and one send(2) for each readable socket. If there is a
 * file, also sendfile(2) while its socket is writable: in slices, so that answers are sent in
 * between, with read-ahead requested for a part of the file before its first slice.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/runner.h"

#define READY_MAX 256
#define BUFFER_BYTES 16384
#define SLICE_BYTES (256 << 10)

struct echo_runner {
	struct runner runner;
	struct load load;
	uint64_t echoed; /* bytes, ever */
	uint64_t wanted;
	int epoll_fd;
	int *fds;
	int background_fd; /* the reader of the file, or -1 */
	bool has_room;     /* for it */
	off_t offset;      /* in the file */
	char buffer[BUFFER_BYTES];
};

/* An answer fits into a socket whose last answer was received, or nearly so. */
static void answer(struct echo_runner *self, int fd, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		ssize_t count =
			send(fd, self->buffer + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (count < 0 && errno != EAGAIN)
			err(1, "send");
		if (count < 0)
			net_wait_writable(fd);
		else
			sent += (size_t)count;
	}
	self->echoed += length;
}

static void echo(struct echo_runner *self, int fd)
{
	ssize_t count = recv(fd, self->buffer, sizeof(self->buffer), MSG_DONTWAIT);

	if (count == 0 || (count < 0 && errno != EAGAIN))
		errx(1, "the client is gone");
	if (count > 0)
		answer(self, fd, (size_t)count);
}

/* A slice of the file, within the current part. */
static void send_slice(struct echo_runner *self)
{
	const off_t part = (off_t)self->load.part_bytes;
	off_t left = part - self->offset % part;
	ssize_t sent;

	if (left == part)
		posix_fadvise(self->load.file_fd, self->offset, part, POSIX_FADV_WILLNEED);
	sent = sendfile(self->background_fd, self->load.file_fd, &self->offset,
			left < SLICE_BYTES ? (size_t)left : SLICE_BYTES);
	if (sent == 0 || (sent < 0 && errno != EAGAIN))
		err(1, "sendfile");
	self->has_room = sent > 0;
	if (sent > 0 && self->offset % part == 0)
		self->runner.background++;
	if ((uint64_t)self->offset == self->load.file_bytes)
		self->offset = 0;
}

static void take(struct echo_runner *self, int fd)
{
	if (fd == self->background_fd)
		self->has_room = true;
	else
		echo(self, fd);
}

static void run(struct runner *runner, uint64_t times)
{
	struct echo_runner *self = (struct echo_runner *)runner;
	struct epoll_event events[READY_MAX];

	self->wanted += times * self->load.record_bytes;
	while (self->echoed < self->wanted) {
		int ready = epoll_wait(self->epoll_fd, events, READY_MAX, self->has_room ? 0 : -1);

		for (int i = 0; i < ready; i++)
			take(self, events[i].data.fd);
		if (self->has_room)
			send_slice(self);
	}
}

static void destroy(struct runner *runner)
{
	struct echo_runner *self = (struct echo_runner *)runner;

	close(self->epoll_fd);
	if (self->background_fd >= 0)
		close(self->background_fd);
	runner_disconnect(&self->load, self->fds);
	free(self);
}

static void watch(struct echo_runner *self, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

static struct runner *create(const struct load *load)
{
	struct echo_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->fds = runner_connect(load);
	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < load->sockets; i++)
		watch(self, self->fds[i], EPOLLIN);
	self->background_fd = load->background ? net_connect(load->background) : -1;
	if (load->background)
		watch(self, self->background_fd, EPOLLOUT | EPOLLET);
	return &self->runner;
}

const struct peer peer_epoll_echo = {
	.name = "epoll",
	.title = "epoll by hand",
	.loads = LOADS(LOAD_ECHO),
	.create = create,
};

const struct peer peer_epoll_background = {
	.name = "epoll",
	.title = "epoll, sendfile(2)",
	.loads = LOADS(LOAD_BACKGROUND),
	.create = create,
};

static struct runner *create_alone(const struct load *load)
{
	struct load echo = *load;

	echo.background = NULL;
	return create(&echo);
}

const struct peer peer_epoll_background_alone = {
	.name = "epoll-alone",
	.title = "epoll, nothing beside it",
	.loads = LOADS(LOAD_BACKGROUND),
	.create = create_alone,
};
