/* SPDX-License-Identifier: MIT */
/* sendfile(2) until the socket is full, poll(2), and on: the usual loop of a file server. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "harness/runner.h"

struct sendfile_runner {
	struct runner runner;
	struct load load;
	int fd;
};

static void send_all(struct sendfile_runner *self)
{
	off_t offset = 0;
	off_t end = (off_t)self->load.file_bytes;

	/* As far as one may ask for a file that is not in memory: it comes while it is sent. */
	if (self->load.cold)
		posix_fadvise(self->load.file_fd, 0, end, POSIX_FADV_WILLNEED);
	while (offset < end) {
		ssize_t sent =
			sendfile(self->fd, self->load.file_fd, &offset, (size_t)(end - offset));

		if (sent == 0)
			errx(1, "the file became shorter");
		if (sent < 0 && errno != EAGAIN)
			err(1, "sendfile");
		if (sent < 0)
			net_wait_writable(self->fd);
	}
}

static void run(struct runner *runner, uint64_t times)
{
	while (times-- > 0)
		send_all((struct sendfile_runner *)runner);
}

static void destroy(struct runner *runner)
{
	close(((struct sendfile_runner *)runner)->fd);
	free(runner);
}

static struct runner *create(const struct load *load)
{
	struct sendfile_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->fd = net_connect(load->receiver);
	return &self->runner;
}

const struct peer peer_sendfile = {
	.name = "sendfile",
	.title = "sendfile(2)",
	.loads = LOADS(LOAD_FILE),
	.create = create,
};
