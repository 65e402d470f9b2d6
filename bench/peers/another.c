/* SPDX-License-Identifier: MIT */
/*
 * Records of a thread that does not own the engine, which has its own thread: sent one by one, and
 * each waited for, as in a program whose threads block. By records, and by Begin and End.
 */
#include <err.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#include "peers/sluice.h"

struct another_runner {
	struct runner runner;
	struct load load;
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	struct sluice_args args;
	char *payload;
	sem_t ended;
};

static void on_completed(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	sem_post(&((struct another_runner *)args->user_token)->ended);
}

static void wait_until_ended(struct another_runner *self)
{
	while (sem_wait(&self->ended) < 0)
		if (errno != EINTR)
			err(1, "sem_wait");
}

static void run_records(struct runner *runner, uint64_t times)
{
	struct another_runner *self = (struct another_runner *)runner;

	while (times-- > 0) {
		int answer = sluice_send_async(self->socket, &self->args);

		runner_sluice_check(answer, "sluice_send_async");
		if (answer == 1)
			wait_until_ended(self);
		if (self->args.error != SLUICE_ERROR_SUCCESS)
			errx(1, "sluice: a send failed");
	}
}

static void run_begin(struct runner *runner, uint64_t times)
{
	struct another_runner *self = (struct another_runner *)runner;
	size_t length = self->load.record_bytes;
	struct sluice_async_result *result;

	while (times-- > 0) {
		runner_sluice_check(sluice_begin_send(self->socket, self->payload, length, 0,
						      (int64_t)length, 0, NULL, NULL, NULL,
						      &result),
				    "sluice_begin_send");
		if (sluice_end_send(self->socket, result, NULL) < 0)
			errx(1, "sluice_end_send failed");
	}
}

static void destroy(struct runner *runner)
{
	struct another_runner *self = (struct another_runner *)runner;

	runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	sem_destroy(&self->ended);
	free(self->payload);
	free(self);
}

static struct another_runner *create_for(const struct load *load, uint32_t backend)
{
	struct another_runner *self = runner_allocate(1, sizeof(*self));
	int *fds = runner_connect(load);

	self->load = *load;
	self->payload = runner_payload(load);
	self->engine = runner_sluice_engine(load, backend);
	sem_init(&self->ended, 0, 0);
	self->args.completed = on_completed;
	self->args.user_token = self;
	runner_sluice_check(sluice_args_set_buffer(&self->args, self->payload, load->record_bytes,
						   0, (int64_t)load->record_bytes),
			    "sluice_args_set_buffer");
	runner_sluice_check(sluice_socket_attach(self->engine, fds[0], &self->socket),
			    "sluice_socket_attach");
	free(fds);
	runner_sluice_check(sluice_engine_start(self->engine), "sluice_engine_start");
	self->runner.destroy = destroy;
	return self;
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	struct another_runner *self = create_for(load, backend);

	self->runner.run = run_records;
	return &self->runner;
}

static struct runner *create_begin(const struct load *load)
{
	struct another_runner *self = create_for(load, SLUICE_BACKEND_AUTO);

	self->runner.run = run_begin;
	return &self->runner;
}

SIDE_SLUICE_PEERS(peer_sluice_another, LOADS(LOAD_ANOTHER), create_on);

const struct peer peer_sluice_another_begin = {
	.name = "sluice-begin",
	.title = "sluice, Begin and End",
	.loads = LOADS(LOAD_ANOTHER),
	.create = create_begin,
};
