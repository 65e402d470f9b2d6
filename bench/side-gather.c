/* SPDX-License-Identifier: MIT */
/*
 * One sendmsg(2) for all records of one socket, its segments filled in once beforehand: the least
 * that the kernel can be asked to do, and so the limit for every library that gathers.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "side.h"

struct gather_side {
	struct side side;
	struct load load;
	uint64_t calls;
	int fd;
	char *payload;
	struct iovec *segments;
	struct iovec *rest; /* what a short send left over */
};

/* Makes rest the segments without their first bytes. */
static size_t cut(struct gather_side *self, const struct iovec *segments, size_t count, size_t sent)
{
	while (count > 0 && sent >= segments->iov_len) {
		sent -= segments->iov_len;
		segments++;
		count--;
	}
	memmove(self->rest, segments, count * sizeof(*segments));
	if (count > 0) {
		self->rest->iov_base = (char *)self->rest->iov_base + sent;
		self->rest->iov_len -= sent;
	}
	return count;
}

static void send_all(struct gather_side *self)
{
	struct msghdr message = {.msg_iov = self->segments, .msg_iovlen = self->load.records};
	size_t left = self->load.records * self->load.record_bytes;

	for (;;) {
		ssize_t sent = sendmsg(self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

		self->calls++;
		if (sent < 0 && errno != EAGAIN)
			err(1, "sendmsg");
		if (sent == (ssize_t)left)
			return;
		if (sent > 0) {
			message.msg_iovlen =
				cut(self, message.msg_iov, message.msg_iovlen, (size_t)sent);
			message.msg_iov = self->rest;
			left -= (size_t)sent;
		}
		net_wait_writable(self->fd);
		self->calls++;
	}
}

static void run(struct side *side, uint64_t times)
{
	while (times-- > 0)
		send_all((struct gather_side *)side);
}

static uint64_t system_calls(struct side *side)
{
	return ((struct gather_side *)side)->calls;
}

static void destroy(struct side *side)
{
	struct gather_side *self = (struct gather_side *)side;

	close(self->fd);
	free(self->rest);
	free(self->segments);
	free(self->payload);
	free(self);
}

struct side *side_gather_create(const struct load *load)
{
	struct gather_side *self = side_allocate(1, sizeof(*self));

	self->side = (struct side){"one sendmsg(2)", run, system_calls, NULL, destroy};
	self->load = *load;
	self->payload = side_allocate(load->records, load->record_bytes);
	self->segments = side_allocate(load->records, sizeof(*self->segments));
	self->rest = side_allocate(load->records, sizeof(*self->rest));
	for (size_t i = 0; i < load->records; i++)
		self->segments[i] =
			(struct iovec){self->payload + i * load->record_bytes, load->record_bytes};
	self->fd = net_connect(load->receiver);
	return &self->side;
}
