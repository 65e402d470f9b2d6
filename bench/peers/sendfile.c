/* SPDX-License-Identifier: MIT */
/*
 * sendfile(2) until the socket is full, poll(2), and on: the usual loop of a file server. On several
 * sockets each in turn, 256 KiB at a time.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "harness/runner.h"

#define SLICE (256 << 10)

struct sendfile_runner {
	struct runner runner;
	struct load load;
	int *fds;
	off_t *offsets; /* of each socket */
	struct pollfd *polled;
};

static void send_all(struct sendfile_runner *self)
{
	off_t offset = 0;
	off_t end = (off_t)self->load.file_bytes;

	/*
	 * The largest read-ahead request for a file that is not in memory: it is read while it is
	 * sent.
	 */
	if (self->load.cold)
		posix_fadvise(self->load.file_fd, 0, end, POSIX_FADV_WILLNEED);
	while (offset < end) {
		ssize_t sent =
			sendfile(self->fds[0], self->load.file_fd, &offset, (size_t)(end - offset));

		if (sent == 0)
			errx(1, "the file became shorter");
		if (sent < 0 && errno != EAGAIN)
			err(1, "sendfile");
		if (sent < 0)
			net_wait_writable(self->fds[0]);
	}
}

static void run(struct runner *runner, uint64_t times)
{
	while (times-- > 0)
		send_all((struct sendfile_runner *)runner);
}

/* A slice, unless the file is sent or the socket was full. True: to be asked again. */
static bool send_slice(struct sendfile_runner *self, size_t i)
{
	off_t left = (off_t)self->load.file_bytes - self->offsets[i];
	ssize_t sent;

	if (left == 0)
		return false;
	sent = sendfile(self->fds[i], self->load.file_fd, &self->offsets[i],
			(size_t)(left < SLICE ? left : SLICE));
	if (sent == 0)
		errx(1, "the file became shorter");
	if (sent < 0 && errno != EAGAIN)
		err(1, "sendfile");
	return sent > 0 && self->offsets[i] < (off_t)self->load.file_bytes;
}

/* Those whose file is not sent yet. */
static nfds_t list_open(struct sendfile_runner *self)
{
	nfds_t open = 0;

	for (size_t i = 0; i < self->load.sockets; i++) {
		if (self->offsets[i] < (off_t)self->load.file_bytes)
			self->polled[open++] =
				(struct pollfd){.fd = self->fds[i], .events = POLLOUT};
	}
	return open;
}

static void send_round(struct sendfile_runner *self)
{
	nfds_t open;

	for (size_t i = 0; i < self->load.sockets; i++)
		self->offsets[i] = 0;
	do {
		bool again = true;

		while (again) {
			again = false;
			for (size_t i = 0; i < self->load.sockets; i++)
				again |= send_slice(self, i);
		}
		open = list_open(self);
		if (open && poll(self->polled, open, -1) < 0 && errno != EINTR)
			err(1, "poll");
	} while (open);
}

static void run_several(struct runner *runner, uint64_t times)
{
	while (times-- > 0)
		send_round((struct sendfile_runner *)runner);
}

static void destroy(struct runner *runner)
{
	struct sendfile_runner *self = (struct sendfile_runner *)runner;

	runner_disconnect(&self->load, self->fds);
	free(self->offsets);
	free(self->polled);
	free(self);
}

static struct runner *create(const struct load *load)
{
	struct sendfile_runner *self = runner_allocate(1, sizeof(*self));

	self->runner =
		(struct runner){.run = load->sockets > 1 ? run_several : run, .destroy = destroy};
	self->load = *load;
	self->offsets = runner_allocate(load->sockets, sizeof(*self->offsets));
	self->polled = runner_allocate(load->sockets, sizeof(*self->polled));
	self->fds = runner_connect(load);
	return &self->runner;
}

const struct peer peer_sendfile = {
	.name = "sendfile",
	.title = "sendfile(2)",
	.loads = LOADS(LOAD_FILE),
	.create = create,
};
