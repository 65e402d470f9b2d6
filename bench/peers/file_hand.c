/* SPDX-License-Identifier: MIT */
/*
 * A file by hand in two other ways than sendfile(2): read into memory and sent from there, or
 * spliced through a pipe of 1 MiB.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/runner.h"

#define BLOCK_BYTES (256 << 10)
#define PIPE_BYTES (1 << 20)

struct file_runner {
	struct runner runner;
	struct load load;
	int fd;
	int pipe[2];
	char *block;
};

static void wait_for_room(struct file_runner *self)
{
	if (errno != EAGAIN)
		err(1, "file");
	net_wait_writable(self->fd);
}

static void send_block(struct file_runner *self, size_t length)
{
	const char *data = self->block;

	while (length > 0) {
		ssize_t sent = send(self->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0) {
			wait_for_room(self);
			continue;
		}
		data += sent;
		length -= (size_t)sent;
	}
}

static void run_read(struct runner *runner, uint64_t times)
{
	struct file_runner *self = (struct file_runner *)runner;

	while (times-- > 0) {
		uint64_t offset = 0;

		while (offset < self->load.file_bytes) {
			ssize_t got =
				pread(self->load.file_fd, self->block, BLOCK_BYTES, (off_t)offset);

			if (got <= 0)
				err(1, "pread");
			send_block(self, (size_t)got);
			offset += (uint64_t)got;
		}
	}
}

static void empty_pipe(struct file_runner *self, size_t length)
{
	while (length > 0) {
		ssize_t sent = splice(self->pipe[0], NULL, self->fd, NULL, length,
				      SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (sent < 0)
			wait_for_room(self);
		else
			length -= (size_t)sent;
	}
}

static void run_splice(struct runner *runner, uint64_t times)
{
	struct file_runner *self = (struct file_runner *)runner;

	while (times-- > 0) {
		off_t offset = 0;

		while ((uint64_t)offset < self->load.file_bytes) {
			uint64_t left = self->load.file_bytes - (uint64_t)offset;
			ssize_t got = splice(self->load.file_fd, &offset, self->pipe[1], NULL,
					     left < PIPE_BYTES ? (size_t)left : PIPE_BYTES,
					     SPLICE_F_MOVE);

			if (got <= 0)
				err(1, "splice");
			empty_pipe(self, (size_t)got);
		}
	}
}

static void destroy(struct runner *runner)
{
	struct file_runner *self = (struct file_runner *)runner;

	close(self->fd);
	close(self->pipe[0]);
	close(self->pipe[1]);
	free(self->block);
	free(self);
}

static struct runner *create(const struct load *load,
			     void (*run)(struct runner *runner, uint64_t times))
{
	struct file_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->block = runner_allocate(1, BLOCK_BYTES);
	if (pipe2(self->pipe, O_CLOEXEC) != 0)
		err(1, "pipe2");
	/* As large as this user is allowed. */
	(void)fcntl(self->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	self->fd = net_connect(load->receiver);
	return &self->runner;
}

static struct runner *create_read(const struct load *load)
{
	return create(load, run_read);
}

static struct runner *create_splice(const struct load *load)
{
	return create(load, run_splice);
}

const struct peer peer_read_send = {
	.name = "read-send",
	.title = "pread(2), send(2)",
	.loads = LOADS(LOAD_FILE),
	.suits = load_has_one_socket,
	.create = create_read,
};

const struct peer peer_splice = {
	.name = "splice",
	.title = "splice(2), pipe of 1 MiB",
	.loads = LOADS(LOAD_FILE),
	.suits = load_has_one_socket,
	.create = create_splice,
};
