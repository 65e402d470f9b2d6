/* SPDX-License-Identifier: MIT */
/* Ours: one send_packets of one descriptor with an explicit count, again and again. */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "peers/sluice.h"

struct file_runner {
	struct runner runner;
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct sluice_packet packet;
	struct sluice_args args;
	int pending;
};

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct file_runner *self = args->user_token;

	(void)socket;
	self->pending = 0;
}

static void run(struct runner *runner, uint64_t times)
{
	struct file_runner *self = (struct file_runner *)runner;

	while (times-- > 0) {
		self->pending = sluice_send_packets_async(self->socket, &self->args);
		runner_sluice_check(self->pending, "sluice_send_packets_async");
		while (self->pending)
			runner_sluice_check(sluice_engine_run(self->engine, -1),
					    "sluice_engine_run");
	}
	/* On a stream an error stays: every later send has one, too. */
	if (self->args.error != SLUICE_ERROR_SUCCESS)
		errx(1, "sluice: a file failed: %s", strerror(self->args.native_error));
}

static void destroy(struct runner *runner)
{
	runner_sluice_check(sluice_engine_destroy(((struct file_runner *)runner)->engine),
			    "sluice_engine_destroy");
	free(runner);
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	struct file_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->engine = runner_sluice_engine(load, backend);
	self->packet =
		(struct sluice_packet){.kind = SLUICE_PACKET_FILE,
				       .fd = load->file_fd,
				       .count = (int64_t)load->file_bytes,
				       .identity = 1}; /* as little is asked as by sendfile */
	self->args.completed = on_sent;
	self->args.user_token = self;
	runner_sluice_check(sluice_args_set_packets(&self->args, &self->packet, 1),
			    "sluice_args_set_packets");
	runner_sluice_check(sluice_socket_attach(self->engine, net_connect(load->receiver),
						 &self->socket),
			    "sluice_socket_attach");
	return &self->runner;
}

SIDE_SLUICE_PEERS(peer_sluice_file, LOADS(LOAD_FILE), create_on);
