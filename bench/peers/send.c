/* SPDX-License-Identifier: MIT */
/*
 * A non-blocking send(2) for each record, and epoll when a socket is full: what a program without a
 * library does first. A header is sent with MSG_MORE, together with its body.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/runner.h"

struct send_runner {
	struct runner runner;
	struct load load;
	int epoll_fd;
	int *fds;
	char *payload;
	struct iovec *pieces; /* of each record one, or two */
	size_t pieces_a_record;
};

/* Every socket is watched from the start, edge-triggered; only one can be waited for here. */
static void wait_writable(struct send_runner *self)
{
	struct epoll_event event;

	if (epoll_wait(self->epoll_fd, &event, 1, -1) < 0 && errno != EINTR)
		err(1, "epoll_wait");
}

static void send_piece(struct send_runner *self, int fd, const struct iovec *piece, int flags)
{
	const char *data = piece->iov_base;
	size_t length = piece->iov_len;

	while (length > 0) {
		ssize_t sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL | flags);

		if (sent < 0 && errno != EAGAIN)
			err(1, "send");
		if (sent < 0) {
			wait_writable(self);
			continue;
		}
		data += sent;
		length -= (size_t)sent;
	}
}

static void send_record(struct send_runner *self, size_t record, int fd)
{
	const struct iovec *piece = &self->pieces[record * self->pieces_a_record];

	if (self->pieces_a_record == 2)
		send_piece(self, fd, piece++, MSG_MORE);
	send_piece(self, fd, piece, 0);
}

static void run(struct runner *runner, uint64_t times)
{
	struct send_runner *self = (struct send_runner *)runner;
	size_t sockets = self->load.sockets;

	while (times-- > 0) {
		for (size_t i = 0, socket = 0; i < self->load.records; i++) {
			send_record(self, i, self->fds[socket]);
			socket = socket + 1 < sockets ? socket + 1 : 0;
		}
	}
}

static void destroy(struct runner *runner)
{
	struct send_runner *self = (struct send_runner *)runner;

	close(self->epoll_fd);
	runner_disconnect(&self->load, self->fds);
	free(self->pieces);
	free(self->payload);
	free(self);
}

static void watch(struct send_runner *self)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET};

	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (self->epoll_fd < 0)
		err(1, "epoll_create1");
	for (size_t i = 0; i < self->load.sockets; i++) {
		if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->fds[i], &event) != 0)
			err(1, "epoll_ctl");
	}
}

static struct runner *create(const struct load *load)
{
	struct send_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->payload = runner_payload(load);
	self->pieces_a_record = load->header_bytes > 0 ? 2 : 1;
	self->pieces = runner_allocate(load->records * 2, sizeof(*self->pieces));
	for (size_t i = 0; i < load->records; i++)
		runner_record(load, self->payload, i, &self->pieces[i * self->pieces_a_record]);
	self->fds = runner_connect(load);
	watch(self);
	return &self->runner;
}

const struct peer peer_send = {
	.name = "send",
	.title = "send(2) each, epoll",
	.loads = LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT) | LOADS(LOAD_ANOTHER),
	.create = create,
};
