/* SPDX-License-Identifier: MIT */
/*
 * libuv: uv_write with a request for each record; a record with a header is one write of two
 * buffers. uv_write tries at once, and the loop sends the rest.
 */
#include <err.h>
#include <stdlib.h>
#include <uv.h>

#include "harness/runner.h"

struct libuv_runner {
	struct runner runner;
	struct load load;
	uv_loop_t loop;
	uv_tcp_t *sockets;
	uv_write_t *requests;
	uv_buf_t *buffers;
	size_t buffers_a_record;
	char *payload;
	size_t pending;
};

static void check(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, uv_strerror(error));
}

static void on_written(uv_write_t *request, int status)
{
	struct libuv_runner *self = request->data;

	check(status, "uv_write");
	self->pending--;
}

static void start_record(struct libuv_runner *self, size_t record, size_t socket)
{
	uv_write_t *request = &self->requests[record];

	request->data = self;
	check(uv_write(request, (uv_stream_t *)&self->sockets[socket],
		       &self->buffers[record * self->buffers_a_record],
		       (unsigned)self->buffers_a_record, on_written),
	      "uv_write");
}

static void run(struct runner *runner, uint64_t times)
{
	struct libuv_runner *self = (struct libuv_runner *)runner;

	while (times-- > 0) {
		self->pending = self->load.records;
		for (size_t i = 0, socket = 0; i < self->load.records; i++) {
			start_record(self, i, socket);
			socket = socket + 1 < self->load.sockets ? socket + 1 : 0;
		}
		while (self->pending > 0)
			uv_run(&self->loop, UV_RUN_ONCE);
	}
}

static void destroy(struct runner *runner)
{
	struct libuv_runner *self = (struct libuv_runner *)runner;

	for (size_t i = 0; i < self->load.sockets; i++)
		uv_close((uv_handle_t *)&self->sockets[i], NULL);
	uv_run(&self->loop, UV_RUN_DEFAULT);
	uv_loop_close(&self->loop);
	free(self->buffers);
	free(self->requests);
	free(self->sockets);
	free(self->payload);
	free(self);
}

static void make_buffers(struct libuv_runner *self)
{
	const struct load *load = &self->load;

	self->buffers_a_record = load->header_bytes > 0 ? 2 : 1;
	self->buffers = runner_allocate(load->records * 2, sizeof(*self->buffers));
	self->requests = runner_allocate(load->records, sizeof(*self->requests));
	for (size_t i = 0; i < load->records; i++) {
		struct iovec pieces[2];
		size_t count = runner_record(load, self->payload, i, pieces);

		for (size_t j = 0; j < count; j++)
			self->buffers[i * self->buffers_a_record + j] =
				uv_buf_init(pieces[j].iov_base, (unsigned)pieces[j].iov_len);
	}
}

static void open_sockets(struct libuv_runner *self)
{
	int *fds = runner_connect(&self->load);

	self->sockets = runner_allocate(self->load.sockets, sizeof(*self->sockets));
	for (size_t i = 0; i < self->load.sockets; i++) {
		check(uv_tcp_init(&self->loop, &self->sockets[i]), "uv_tcp_init");
		check(uv_tcp_open(&self->sockets[i], fds[i]), "uv_tcp_open");
	}
	free(fds);
}

static struct runner *create(const struct load *load)
{
	struct libuv_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->payload = runner_payload(load);
	check(uv_loop_init(&self->loop), "uv_loop_init");
	make_buffers(self);
	open_sockets(self);
	return &self->runner;
}

const struct peer peer_libuv = {
	.name = "libuv",
	.title = "libuv",
	.loads = LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT),
	.create = create,
};
