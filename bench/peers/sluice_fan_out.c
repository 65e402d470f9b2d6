/* SPDX-License-Identifier: MIT */
/*
 * Ours as a server that tells everybody the same: one sluice_fan_out for each message, which is a
 * record for all sockets and has one completion. Messages that are outstanding together are queued
 * on each socket behind one another.
 */
#include <err.h>
#include <stdlib.h>

#include "peers/sluice.h"

struct fan_out_runner {
	struct runner runner;
	struct load load;
	struct sluice_engine *engine;
	char *payload; /* of all messages */
	size_t message_count;
	struct sluice_fan_out *messages;
	struct sluice_fan_out_target *targets; /* of all messages, one behind the other */
	size_t pending;                        /* messages whose handler is still to run */
};

static void on_completed(struct sluice_fan_out *message)
{
	struct fan_out_runner *self = message->user_token;

	if (message->failed > 0)
		errx(1, "sluice: %zu sends of a fan-out failed", message->failed);
	self->pending--;
}

static void start_message(struct sluice_fan_out *message)
{
	int answer = sluice_fan_out_async(message);

	runner_sluice_check(answer, "sluice_fan_out_async");
	if (answer == 0)
		on_completed(message);
}

static void run(struct runner *runner, uint64_t times)
{
	struct fan_out_runner *self = (struct fan_out_runner *)runner;

	while (times-- > 0) {
		self->pending = self->message_count;
		runner_sluice_check(sluice_batch_begin(self->engine), "sluice_batch_begin");
		for (size_t i = 0; i < self->message_count; i++)
			start_message(&self->messages[i]);
		runner_sluice_check(sluice_batch_end(self->engine), "sluice_batch_end");
		while (self->pending > 0)
			runner_sluice_check(sluice_engine_run(self->engine, -1),
					    "sluice_engine_run");
	}
}

static void destroy(struct runner *runner)
{
	struct fan_out_runner *self = (struct fan_out_runner *)runner;

	runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	free(self->targets);
	free(self->messages);
	free(self->payload);
	free(self);
}

static void attach_sockets(struct fan_out_runner *self)
{
	int *fds = runner_connect(&self->load);
	size_t sockets = self->load.sockets;

	for (size_t i = 0; i < sockets; i++) {
		struct sluice_socket *socket;

		runner_sluice_check(sluice_socket_attach(self->engine, fds[i], &socket),
				    "sluice_socket_attach");
		for (size_t j = 0; j < self->message_count; j++)
			self->targets[j * sockets + i].socket = socket;
	}
	free(fds);
}

static void make_messages(struct fan_out_runner *self)
{
	const struct load *load = &self->load;

	self->payload = runner_payload(load);
	self->message_count = load->records / load->sockets;
	self->messages = runner_allocate(self->message_count, sizeof(*self->messages));
	self->targets = runner_allocate(load->records, sizeof(*self->targets));
	for (size_t i = 0; i < self->message_count; i++)
		self->messages[i] = (struct sluice_fan_out){
			.completed = on_completed,
			.user_token = self,
			.base = self->payload,
			.length = load->record_bytes,
			.targets = &self->targets[i * load->sockets],
			.target_count = load->sockets,
		};
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	struct fan_out_runner *self = runner_allocate(1, sizeof(*self));

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->engine = runner_sluice_engine(load, backend);
	make_messages(self);
	attach_sockets(self);
	return &self->runner;
}

SIDE_SLUICE_PEERS(peer_sluice_fan_out, LOADS(LOAD_FAN_OUT), create_on);
