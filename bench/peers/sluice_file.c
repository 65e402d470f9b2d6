/* SPDX-License-Identifier: MIT */
/*
 * Ours: one send_packets of one descriptor with an explicit count, again and again; on several sockets in
 * a batch. Also with the ring sending all files, through pipes.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "peers/sluice.h"

struct file_runner {
	struct runner runner;
	struct load load;
	struct sluice_engine *engine;
	struct sluice_packet packet;
	struct sluice_socket **sockets;
	struct sluice_args *records; /* one of each socket */
	size_t pending;
};

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct file_runner *self = args->user_token;

	(void)socket;
	self->pending--;
}

static void start_file(struct file_runner *self, size_t i)
{
	int answer = sluice_send_packets_async(self->sockets[i], &self->records[i]);

	runner_sluice_check(answer, "sluice_send_packets_async");
	if (answer == 0)
		self->pending--;
}

static void start_all(struct file_runner *self)
{
	self->pending = self->load.sockets;
	if (self->load.sockets == 1) {
		start_file(self, 0);
		return;
	}
	runner_sluice_check(sluice_batch_begin(self->engine), "sluice_batch_begin");
	for (size_t i = 0; i < self->load.sockets; i++)
		start_file(self, i);
	runner_sluice_check(sluice_batch_end(self->engine), "sluice_batch_end");
}

static void run(struct runner *runner, uint64_t times)
{
	struct file_runner *self = (struct file_runner *)runner;

	while (times-- > 0) {
		start_all(self);
		while (self->pending > 0)
			runner_sluice_check(sluice_engine_run(self->engine, -1),
					    "sluice_engine_run");
	}
	/* Errors of a stream persist: every later send reports one, too. */
	for (size_t i = 0; i < self->load.sockets; i++) {
		if (self->records[i].error != SLUICE_ERROR_SUCCESS)
			errx(1, "sluice: a file failed: %s",
			     strerror(self->records[i].native_error));
	}
}

static void destroy(struct runner *runner)
{
	struct file_runner *self = (struct file_runner *)runner;

	runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	free(self->sockets);
	free(self->records);
	free(self);
}

static void connect_one(struct file_runner *self, size_t i)
{
	struct sluice_args *args = &self->records[i];

	args->completed = on_sent;
	args->user_token = self;
	runner_sluice_check(sluice_args_set_packets(args, &self->packet, 1),
			    "sluice_args_set_packets");
	runner_sluice_check(sluice_socket_attach(self->engine, net_connect(self->load.receiver),
						 &self->sockets[i]),
			    "sluice_socket_attach");
}

static struct runner *create_with(const struct load *load, struct sluice_engine *engine)
{
	struct file_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->engine = engine;
	self->packet =
		(struct sluice_packet){.kind = SLUICE_PACKET_FILE,
				       .fd = load->file_fd,
				       .count = (int64_t)load->file_bytes,
				       .identity = 1}; /* to request as little as sendfile does */
	self->sockets = runner_allocate(load->sockets, sizeof(struct sluice_socket *));
	self->records = runner_allocate(load->sockets, sizeof(*self->records));
	for (size_t i = 0; i < load->sockets; i++)
		connect_one(self, i);
	return &self->runner;
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	return create_with(load, runner_sluice_engine(load, backend));
}

SIDE_SLUICE_PEERS(peer_sluice_file, LOADS(LOAD_FILE), create_on);

/* ---- by the ring ---- */

static struct sluice_engine *splicing_engine(const struct load *load)
{
	struct sluice_options options = *load->options;
	struct load own = *load;

	options.file_way = SLUICE_FILE_WAY_SPLICE_RING;
	own.options = &options;
	return runner_sluice_engine(&own, SLUICE_BACKEND_URING);
}

static struct runner *create_splicing(const struct load *load)
{
	return create_with(load, splicing_engine(load));
}

static const char *lacks_splice(const struct load *load)
{
	struct sluice_engine_statistics statistics = {.size = sizeof(statistics)};
	const char *reason = runner_sluice_lacks_uring(load);
	struct sluice_engine *engine;

	if (reason)
		return reason;
	engine = splicing_engine(load);
	sluice_engine_statistics(engine, &statistics);
	sluice_engine_destroy(engine);
	return statistics.capabilities & SLUICE_CAPABILITY_RING_SPLICE
		       ? NULL
		       : "the ring does not splice here";
}

const struct peer peer_sluice_splice_ring = {
	.name = "sluice-splice-ring",
	.title = "sluice, files by the ring",
	.loads = LOADS(LOAD_FILE),
	.lacks = lacks_splice,
	.create = create_splicing,
};
