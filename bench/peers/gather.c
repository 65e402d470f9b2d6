/* SPDX-License-Identifier: MIT */
/*
 * One sendmsg(2), or writev(2), for all records of one socket, or for as many as the kernel accepts
 * at once. Its segments are filled in once beforehand: the minimum work, and therefore the limit
 * for every library that gathers. Or they are filled in for each batch, as in a program that does
 * not send the same memory repeatedly.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness/runner.h"

#define SEGMENTS_MAX 1024 /* of one call, UIO_MAXIOV */

struct gather_runner {
	struct runner runner;
	struct load load;
	ssize_t (*send)(int fd, struct iovec *segments, size_t count);
	bool fills;
	int *fds;
	char *payload;
	struct iovec *records;  /* addresses of the records, for filling in again */
	struct iovec *segments; /* those of the first socket, those of the second, ... */
	size_t *counts;         /* of each socket */
	struct iovec *rest;     /* the remainder of a short send */
};

static ssize_t by_sendmsg(int fd, struct iovec *segments, size_t count)
{
	struct msghdr message = {.msg_iov = segments, .msg_iovlen = count};

	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t by_writev(int fd, struct iovec *segments, size_t count)
{
	return writev(fd, segments, (int)count);
}

static size_t bytes_of(const struct iovec *segments, size_t count)
{
	size_t bytes = 0;

	while (count-- > 0)
		bytes += segments++->iov_len;
	return bytes;
}

/* Sets rest to the segments without their first bytes. */
static size_t cut(struct gather_runner *self, const struct iovec *segments, size_t count,
		  size_t sent)
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

static void send_whole(struct gather_runner *self, int fd, struct iovec *segments, size_t count,
		       size_t left)
{
	for (;;) {
		ssize_t sent = self->send(fd, segments, count);

		if (sent < 0 && errno != EAGAIN)
			err(1, "gather");
		if (sent == (ssize_t)left)
			return;
		if (sent > 0) {
			count = cut(self, segments, count, (size_t)sent);
			segments = self->rest;
			left -= (size_t)sent;
		}
		net_wait_writable(fd);
	}
}

/* All segments have the same sizes, alone or in pairs. */
static void send_all(struct gather_runner *self, int fd, struct iovec *segments, size_t count,
		     size_t bytes)
{
	for (size_t first = 0; first < count; first += SEGMENTS_MAX) {
		size_t some = count - first < SEGMENTS_MAX ? count - first : SEGMENTS_MAX;

		send_whole(self, fd, segments + first, some, bytes * some / count);
	}
}

static void fill_again(struct gather_runner *self)
{
	struct iovec *next = self->segments;
	size_t sockets = self->load.sockets;

	for (size_t socket = 0; socket < sockets; socket++) {
		for (size_t i = socket; i < self->load.records; i += sockets)
			*next++ = self->records[i];
	}
}

static void run(struct runner *runner, uint64_t times)
{
	struct gather_runner *self = (struct gather_runner *)runner;
	size_t bytes = bytes_of(self->segments, self->counts[0]);

	while (times-- > 0) {
		struct iovec *segments = self->segments;

		if (self->fills)
			fill_again(self);
		for (size_t i = 0; i < self->load.sockets; i++) {
			send_all(self, self->fds[i], segments, self->counts[i], bytes);
			segments += self->counts[i];
		}
	}
}

static void destroy(struct runner *runner)
{
	struct gather_runner *self = (struct gather_runner *)runner;

	runner_disconnect(&self->load, self->fds);
	free(self->rest);
	free(self->counts);
	free(self->segments);
	free(self->records);
	free(self->payload);
	free(self);
}

static void fill_in(struct gather_runner *self)
{
	const struct load *load = &self->load;
	struct iovec *next = self->segments;

	for (size_t socket = 0; socket < load->sockets; socket++) {
		struct iovec *first = next;

		for (size_t i = socket; i < load->records; i += load->sockets)
			next += runner_record(load, self->payload, i, next);
		self->counts[socket] = (size_t)(next - first);
	}
}

static struct runner *create(const struct load *load,
			     ssize_t (*send)(int fd, struct iovec *segments, size_t count))
{
	struct gather_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->send = send;
	self->payload = runner_payload(load);
	self->segments = runner_allocate(2 * load->records, sizeof(*self->segments));
	self->counts = runner_allocate(load->sockets, sizeof(*self->counts));
	self->rest = runner_allocate(2 * load->records, sizeof(*self->rest));
	fill_in(self);
	self->fds = runner_connect(load);
	return &self->runner;
}

static struct runner *create_filled(const struct load *load)
{
	struct runner *runner = create(load, by_sendmsg);
	struct gather_runner *self = (struct gather_runner *)runner;

	self->fills = true;
	self->records = runner_allocate(load->records, sizeof(*self->records));
	for (size_t i = 0; i < load->records; i++)
		runner_record(load, self->payload, i, &self->records[i]);
	return runner;
}

static struct runner *create_sendmsg(const struct load *load)
{
	return create(load, by_sendmsg);
}

static struct runner *create_writev(const struct load *load)
{
	return create(load, by_writev);
}

/* With one segment per socket there is nothing to gather: that is send(2). */
static bool suits(const struct load *load)
{
	return load->records % load->sockets == 0 &&
	       (load->records > load->sockets || load->header_bytes > 0);
}

const struct peer peer_gather = {
	.name = "gather",
	.title = "gather by sendmsg(2)",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits,
	.create = create_sendmsg,
};

static bool suits_filled(const struct load *load)
{
	return suits(load) && !load->header_bytes;
}

const struct peer peer_gather_filled = {
	.name = "gather-filled",
	.title = "the same, segments filled in for each batch",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits_filled,
	.create = create_filled,
};

const struct peer peer_writev = {
	.name = "writev",
	.title = "gather by writev(2)",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits,
	.create = create_writev,
};
