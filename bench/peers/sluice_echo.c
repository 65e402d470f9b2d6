/* SPDX-License-Identifier: MIT */
/*
 * sluice as an echo: receive_start on every socket, and each received buffer is sent back and then
 * released. If there is a file, the same engine sends it in parts, each as if it were a separate
 * file; the end of one starts the next.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "peers/sluice.h"

/* An answer in flight; as many as there are receive buffers. */
struct answer {
	struct sluice_args args;
	struct sluice_buffer *buffer;
	struct echo_runner *runner;
	struct answer *next; /* free ones */
};

struct echo_runner {
	struct runner runner;
	struct load load;
	struct sluice_engine *engine;
	uint64_t echoed; /* bytes, ever */
	uint64_t wanted;
	struct answer *answers;
	struct answer *free;
	struct sluice_packet part; /* of the file */
	struct sluice_args sending;
};

static void finish(struct answer *answer)
{
	struct echo_runner *self = answer->runner;

	if (answer->args.error != SLUICE_ERROR_SUCCESS)
		errx(1, "sluice: an answer failed: %s", strerror(answer->args.native_error));
	self->echoed += answer->args.bytes_transferred;
	sluice_buffer_release(self->engine, answer->buffer);
	answer->next = self->free;
	self->free = answer;
}

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	finish(args->user_token);
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct echo_runner *self = token;
	struct answer *answer = self->free;
	int started;

	if (received->error == SLUICE_ERROR_OPERATION_ABORTED)
		return; /* the end of the run */
	if (received->terminal)
		errx(1, "sluice: a receive failed: %s", strerror(received->native_error));
	if (!answer)
		errx(1, "sluice: more buffers are lent than there are");
	self->free = answer->next;
	answer->buffer = received->buffer;
	runner_sluice_check(sluice_args_set_buffer(&answer->args, received->data, received->length,
						   0, (int64_t)received->length),
			    "sluice_args_set_buffer");
	started = sluice_send_async(socket, &answer->args);
	runner_sluice_check(started, "sluice_send_async");
	if (started == 0)
		finish(answer);
}

static void run(struct runner *runner, uint64_t times)
{
	struct echo_runner *self = (struct echo_runner *)runner;

	self->wanted += times * self->load.record_bytes;
	while (self->echoed < self->wanted)
		runner_sluice_check(sluice_engine_run(self->engine, -1), "sluice_engine_run");
}

static void destroy(struct runner *runner)
{
	struct echo_runner *self = (struct echo_runner *)runner;

	runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	free(self->answers);
	free(self);
}

static void make_answers(struct echo_runner *self, size_t count)
{
	self->answers = runner_allocate(count, sizeof(*self->answers));
	for (size_t i = 0; i < count; i++) {
		struct answer *answer = &self->answers[i];

		answer->runner = self;
		answer->args.completed = on_sent;
		answer->args.user_token = answer;
		answer->next = self->free;
		self->free = answer;
	}
}

static void attach_sockets(struct echo_runner *self)
{
	const struct sluice_receive_options options = {
		.size = sizeof(options), .on_received = on_received, .token = self};
	int *fds = runner_connect(&self->load);

	for (size_t i = 0; i < self->load.sockets; i++) {
		struct sluice_socket *socket;

		runner_sluice_check(sluice_socket_attach(self->engine, fds[i], &socket),
				    "sluice_socket_attach");
		runner_sluice_check(sluice_receive_start(socket, &options), "sluice_receive_start");
	}
	free(fds);
}

static void send_part(struct sluice_socket *socket, struct echo_runner *self)
{
	int answer;

	runner_sluice_check(sluice_args_set_packets(&self->sending, &self->part, 1),
			    "sluice_args_set_packets");
	answer = sluice_send_packets_async(socket, &self->sending);
	runner_sluice_check(answer, "sluice_send_packets_async");
	if (answer == 0)
		errx(1, "sluice: a file was sent at once that was to be pending");
}

static void on_part_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct echo_runner *self = args->user_token;

	if (args->error == SLUICE_ERROR_OPERATION_ABORTED)
		return; /* the end of the run */
	if (args->error != SLUICE_ERROR_SUCCESS)
		errx(1, "sluice: a file failed: %s", strerror(args->native_error));
	self->runner.background++;
	self->part.offset += self->part.count;
	if ((uint64_t)self->part.offset >= self->load.file_bytes)
		self->part.offset = 0;
	send_part(socket, self);
}

/* Batched, so that each completes in the handler, also one that could complete at once. */
static void start_background(struct echo_runner *self)
{
	struct sluice_socket *socket;

	self->part = (struct sluice_packet){.kind = SLUICE_PACKET_FILE,
					    .fd = self->load.file_fd,
					    .count = (int64_t)self->load.part_bytes};
	self->sending.completed = on_part_sent;
	self->sending.user_token = self;
	runner_sluice_check(sluice_socket_attach(self->engine, net_connect(self->load.background),
						 &socket),
			    "sluice_socket_attach");
	runner_sluice_check(sluice_batch_begin(self->engine), "sluice_batch_begin");
	send_part(socket, self);
	runner_sluice_check(sluice_batch_end(self->engine), "sluice_batch_end");
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	struct echo_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->engine = runner_sluice_engine(load, backend);
	/* One for each buffer that may be lent. */
	make_answers(self,
		     load->options->receive_bytes_max / load->options->receive_buffer_bytes + 1);
	attach_sockets(self);
	if (load->background)
		start_background(self);
	return &self->runner;
}

SIDE_SLUICE_PEERS(peer_sluice_echo, LOADS(LOAD_ECHO) | LOADS(LOAD_BACKGROUND), create_on);

static struct runner *create_alone(const struct load *load)
{
	struct load echo = *load;

	echo.background = NULL;
	return create_on(&echo, SLUICE_BACKEND_AUTO);
}

const struct peer peer_sluice_background_alone = {
	.name = "sluice-alone",
	.title = "sluice, nothing beside it",
	.loads = LOADS(LOAD_BACKGROUND),
	.create = create_alone,
};

/* With another budget than the reference's, beside it. */
static struct runner *create_waiting(const struct load *load, int64_t wait_budget_ns)
{
	static struct sluice_options options; /* outlives the runner: there is one in a process */
	struct load its = *load;

	options = *load->options;
	options.wait_budget_ns = wait_budget_ns;
	its.options = &options;
	its.wait_budget_ns = 0;
	return create_on(&its, SLUICE_BACKEND_AUTO);
}

static bool suits_waiting(const struct load *load)
{
	return load->wait_budget_ns > 0;
}

#define WAITING_PEER(us)                                                                   \
	static struct runner *create_waiting_##us(const struct load *load)                 \
	{                                                                                  \
		return create_waiting(load, (us)*INT64_C(1000));                           \
	}                                                                                  \
	const struct peer peer_sluice_waiting_##us = {.name = "sluice-wait-" #us,          \
						      .title = "sluice, up to " #us " us", \
						      .loads = LOADS(LOAD_ECHO),           \
						      .suits = suits_waiting,              \
						      .create = create_waiting_##us}

WAITING_PEER(0);
WAITING_PEER(20);
WAITING_PEER(50);
