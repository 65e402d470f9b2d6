/* SPDX-License-Identifier: MIT */
/*
 * libuv: uv_write with a request for each record; a record with a header is one write of two
 * buffers. uv_write tries at once, and what the socket does not take waits for the loop.
 */
#include <err.h>
#include <stdlib.h>
#include <uv.h>

#include "side.h"

struct libuv_side {
	struct side side;
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
	struct libuv_side *self = request->data;

	check(status, "uv_write");
	self->pending--;
}

static void start_record(struct libuv_side *self, size_t record, size_t socket)
{
	uv_write_t *request = &self->requests[record];

	request->data = self;
	check(uv_write(request, (uv_stream_t *)&self->sockets[socket],
		       &self->buffers[record * self->buffers_a_record],
		       (unsigned)self->buffers_a_record, on_written),
	      "uv_write");
}

static void run(struct side *side, uint64_t times)
{
	struct libuv_side *self = (struct libuv_side *)side;

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

static void destroy(struct side *side)
{
	struct libuv_side *self = (struct libuv_side *)side;

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

static void make_buffers(struct libuv_side *self)
{
	const struct load *load = &self->load;

	self->buffers_a_record = load->header_bytes > 0 ? 2 : 1;
	self->buffers = side_allocate(load->records * 2, sizeof(*self->buffers));
	self->requests = side_allocate(load->records, sizeof(*self->requests));
	for (size_t i = 0; i < load->records; i++) {
		struct iovec pieces[2];
		size_t count = side_record(load, self->payload, i, pieces);

		for (size_t j = 0; j < count; j++)
			self->buffers[i * self->buffers_a_record + j] =
				uv_buf_init(pieces[j].iov_base, (unsigned)pieces[j].iov_len);
	}
}

static void open_sockets(struct libuv_side *self)
{
	int *fds = side_connect(&self->load);

	self->sockets = side_allocate(self->load.sockets, sizeof(*self->sockets));
	for (size_t i = 0; i < self->load.sockets; i++) {
		check(uv_tcp_init(&self->loop, &self->sockets[i]), "uv_tcp_init");
		check(uv_tcp_open(&self->sockets[i], fds[i]), "uv_tcp_open");
	}
	free(fds);
}

static struct side *create(const struct load *load)
{
	struct libuv_side *self = side_allocate(1, sizeof(*self));

	self->side = (struct side){.run = run, .destroy = destroy};
	self->load = *load;
	self->payload = side_payload(load);
	check(uv_loop_init(&self->loop), "uv_loop_init");
	make_buffers(self);
	open_sockets(self);
	return &self->side;
}

const struct peer peer_libuv = {
	.name = "libuv",
	.title = "libuv",
	.loads = LOADS(LOAD_RECORDS),
	.create = create,
};
