/* SPDX-License-Identifier: MIT */
/* send(2) for each record: what a program without a library does first. */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "side.h"

struct send_side {
	struct side side;
	struct load load;
	uint64_t calls;
	char *payload;
	int *fds; /* of each record */
};

static void send_all(struct send_side *self, int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		self->calls++;
		if (sent < 0 && errno != EAGAIN)
			err(1, "send");
		if (sent < 0) {
			net_wait_writable(fd);
			self->calls++;
			continue;
		}
		data += sent;
		length -= (size_t)sent;
	}
}

static void run(struct side *side, uint64_t times)
{
	struct send_side *self = (struct send_side *)side;
	size_t bytes = self->load.record_bytes;

	while (times-- > 0) {
		for (size_t i = 0; i < self->load.records; i++)
			send_all(self, self->fds[i], self->payload + i * bytes, bytes);
	}
}

static uint64_t system_calls(struct side *side)
{
	return ((struct send_side *)side)->calls;
}

static void destroy(struct side *side)
{
	struct send_side *self = (struct send_side *)side;

	for (size_t i = 0; i < self->load.sockets; i++)
		close(self->fds[i]);
	free(self->fds);
	free(self->payload);
	free(self);
}

struct side *side_send_create(const struct load *load)
{
	struct send_side *self = side_allocate(1, sizeof(*self));

	self->side = (struct side){"send(2)", run, system_calls, NULL, destroy};
	self->load = *load;
	self->payload = side_allocate(load->records, load->record_bytes);
	self->fds = side_allocate(load->records, sizeof(*self->fds));
	for (size_t i = 0; i < load->records; i++)
		self->fds[i] = i < load->sockets ? net_connect(load->receiver)
						 : self->fds[i - load->sockets];
	return &self->side;
}
