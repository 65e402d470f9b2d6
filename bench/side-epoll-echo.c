/* SPDX-License-Identifier: MIT */
/* An echo by hand: epoll, and for each socket that is readable one recv(2) and one send(2). */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "side.h"

#define READY_MAX 256
#define BUFFER_BYTES 16384

struct echo_side {
	struct side side;
	struct load load;
	uint64_t calls;
	uint64_t echoed; /* bytes, ever */
	uint64_t wanted;
	int epoll_fd;
	int *fds;
	char buffer[BUFFER_BYTES];
};

/* An answer fits into a socket whose last answer was received, or nearly so. */
static void answer(struct echo_side *self, int fd, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		ssize_t count =
			send(fd, self->buffer + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		self->calls++;
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

	self->calls++;
	if (count == 0 || (count < 0 && errno != EAGAIN))
		errx(1, "the asker is gone");
	if (count > 0)
		answer(self, fd, (size_t)count);
}

static void run(struct side *side, uint64_t times)
{
	struct echo_side *self = (struct echo_side *)side;
	struct epoll_event events[READY_MAX];

	self->wanted += times * self->load.record_bytes;
	while (self->echoed < self->wanted) {
		int ready = epoll_wait(self->epoll_fd, events, READY_MAX, -1);

		self->calls++;
		for (int i = 0; i < ready; i++)
			echo(self, events[i].data.fd);
	}
}

static uint64_t system_calls(struct side *side)
{
	return ((struct echo_side *)side)->calls;
}

static void destroy(struct side *side)
{
	struct echo_side *self = (struct echo_side *)side;

	close(self->epoll_fd);
	side_disconnect(&self->load, self->fds);
	free(self);
}

static struct side *create(const struct load *load)
{
	struct echo_side *self = side_allocate(1, sizeof(*self));

	self->side = (struct side){.run = run, .system_calls = system_calls, .destroy = destroy};
	self->load = *load;
	self->fds = side_connect(load);
	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < load->sockets; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = self->fds[i]};

		if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->fds[i], &event) != 0)
			err(1, "epoll_ctl");
	}
	return &self->side;
}

const struct peer peer_epoll_echo = {
	.name = "epoll",
	.title = "epoll by hand",
	.loads = LOADS(LOAD_ECHO),
	.create = create,
};
