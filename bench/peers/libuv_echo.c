/* SPDX-License-Identifier: MIT */
/* An echo by libuv: what is read is written back from a pooled buffer. */
#include <err.h>
#include <stdlib.h>
#include <uv.h>

#include "harness/runner.h"

#define BUFFER_BYTES 16384

/* A buffer for reading and writing. */
struct answer {
	uv_write_t request;
	struct echo_runner *runner;
	struct answer *next; /* free ones */
	size_t length;
	char bytes[BUFFER_BYTES];
};

struct echo_runner {
	struct runner runner;
	struct load load;
	uv_loop_t loop;
	uv_tcp_t *sockets;
	struct answer *free;
	uint64_t echoed; /* bytes, ever */
	uint64_t wanted;
};

static void check(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, uv_strerror(error));
}

static void give_back(struct answer *answer)
{
	answer->next = answer->runner->free;
	answer->runner->free = answer;
}

static struct answer *answer_of(char *bytes)
{
	return (struct answer *)(void *)(bytes - offsetof(struct answer, bytes));
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct echo_runner *self = handle->data;
	struct answer *answer = self->free;

	(void)suggested;
	if (answer)
		self->free = answer->next;
	else
		answer = runner_allocate(1, sizeof(*answer));
	answer->runner = self;
	*buffer = uv_buf_init(answer->bytes, BUFFER_BYTES);
}

static void on_written(uv_write_t *request, int status)
{
	struct answer *answer = request->data;

	check(status, "uv_write");
	answer->runner->echoed += answer->length;
	give_back(answer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct answer *answer = answer_of(buffer->base);
	uv_buf_t what;

	if (count < 0)
		errx(1, "the client is gone: %s", uv_strerror((int)count));
	if (count == 0) {
		give_back(answer);
		return;
	}
	what = uv_buf_init(answer->bytes, (unsigned)count);
	answer->length = (size_t)count;
	answer->request.data = answer;
	check(uv_write(&answer->request, stream, &what, 1, on_written), "uv_write");
}

static void run(struct runner *runner, uint64_t times)
{
	struct echo_runner *self = (struct echo_runner *)runner;

	self->wanted += times * self->load.record_bytes;
	while (self->echoed < self->wanted)
		uv_run(&self->loop, UV_RUN_ONCE);
}

static void destroy(struct runner *runner)
{
	struct echo_runner *self = (struct echo_runner *)runner;

	for (size_t i = 0; i < self->load.sockets; i++)
		uv_close((uv_handle_t *)&self->sockets[i], NULL);
	uv_run(&self->loop, UV_RUN_DEFAULT);
	uv_loop_close(&self->loop);
	while (self->free) {
		struct answer *answer = self->free;

		self->free = answer->next;
		free(answer);
	}
	free(self->sockets);
	free(self);
}

static struct runner *create(const struct load *load)
{
	struct echo_runner *self = runner_allocate(1, sizeof(*self));
	int *fds = runner_connect(load);

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	check(uv_loop_init(&self->loop), "uv_loop_init");
	self->sockets = runner_allocate(load->sockets, sizeof(*self->sockets));
	for (size_t i = 0; i < load->sockets; i++) {
		uv_tcp_t *socket = &self->sockets[i];

		check(uv_tcp_init(&self->loop, socket), "uv_tcp_init");
		check(uv_tcp_open(socket, fds[i]), "uv_tcp_open");
		socket->data = self;
		check(uv_read_start((uv_stream_t *)socket, on_buffer, on_read), "uv_read_start");
	}
	free(fds);
	return &self->runner;
}

const struct peer peer_libuv_echo = {
	.name = "libuv",
	.title = "libuv",
	.loads = LOADS(LOAD_ECHO),
	.create = create,
};
