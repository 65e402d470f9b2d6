/* SPDX-License-Identifier: MIT */
/*
 * An echo by hand: epoll, and for each socket that is readable one recv(2) and one send(2). Beside it
 * sendfile(2) where its socket has room, if there is a file: in slices, so that answers come in
 * between, and with read-ahead asked for a part of the file before its first slice.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "side.h"

#define READY_MAX 256
#define BUFFER_BYTES 16384
#define SLICE_BYTES (256 << 10)

struct echo_side {
	struct side side;
	struct load load;
	uint64_t echoed; /* bytes, ever */
	uint64_t wanted;
	int epoll_fd;
	int *fds;
	int beside_fd; /* where the file goes, or -1 */
	bool has_room; /* for it */
	off_t offset;  /* into the file */
	char buffer[BUFFER_BYTES];
};

/* An answer fits into a socket whose last answer was received, or nearly so. */
static void answer(struct echo_side *self, int fd, size_t length)
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

static void echo(struct echo_side *self, int fd)
{
	ssize_t count = recv(fd, self->buffer, sizeof(self->buffer), MSG_DONTWAIT);

	if (count == 0 || (count < 0 && errno != EAGAIN))
		errx(1, "the asker is gone");
	if (count > 0)
		answer(self, fd, (size_t)count);
}

/* A slice of the file, and never more than what is left of a part. */
static void send_slice(struct echo_side *self)
{
	const off_t part = (off_t)self->load.part_bytes;
	off_t left = part - self->offset % part;
	ssize_t sent;

	if (left == part)
		posix_fadvise(self->load.file_fd, self->offset, part, POSIX_FADV_WILLNEED);
	sent = sendfile(self->beside_fd, self->load.file_fd, &self->offset,
			left < SLICE_BYTES ? (size_t)left : SLICE_BYTES);
	if (sent == 0 || (sent < 0 && errno != EAGAIN))
		err(1, "sendfile");
	self->has_room = sent > 0;
	if (sent > 0 && self->offset % part == 0)
		self->side.beside++;
	if ((uint64_t)self->offset == self->load.file_bytes)
		self->offset = 0;
}

static void take(struct echo_side *self, int fd)
{
	if (fd == self->beside_fd)
		self->has_room = true;
	else
		echo(self, fd);
}

static void run(struct side *side, uint64_t times)
{
	struct echo_side *self = (struct echo_side *)side;
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

static void destroy(struct side *side)
{
	struct echo_side *self = (struct echo_side *)side;

	close(self->epoll_fd);
	if (self->beside_fd >= 0)
		close(self->beside_fd);
	side_disconnect(&self->load, self->fds);
	free(self);
}

static void watch(struct echo_side *self, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

static struct side *create(const struct load *load)
{
	struct echo_side *self = side_allocate(1, sizeof(*self));

	self->side = (struct side){.run = run, .destroy = destroy};
	self->load = *load;
	self->fds = side_connect(load);
	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < load->sockets; i++)
		watch(self, self->fds[i], EPOLLIN);
	self->beside_fd = load->beside ? net_connect(load->beside) : -1;
	if (load->beside)
		watch(self, self->beside_fd, EPOLLOUT | EPOLLET);
	return &self->side;
}

const struct peer peer_epoll_echo = {
	.name = "epoll",
	.title = "epoll by hand",
	.loads = LOADS(LOAD_ECHO),
	.create = create,
};

const struct peer peer_epoll_beside = {
	.name = "epoll",
	.title = "epoll, sendfile(2)",
	.loads = LOADS(LOAD_BESIDE),
	.create = create,
};

static struct side *create_alone(const struct load *load)
{
	struct load echo = *load;

	echo.beside = NULL;
	return create(&echo);
}

const struct peer peer_epoll_beside_alone = {
	.name = "epoll-alone",
	.title = "epoll, nothing beside it",
	.loads = LOADS(LOAD_BESIDE),
	.create = create_alone,
};
