/* SPDX-License-Identifier: MIT */
/*
 * sluice, as a program would use it: records are set up once and started repeatedly, several
 * between batch_begin and batch_end, a single one by itself.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "peers/sluice.h"

struct sluice_runner {
	struct runner runner;
	struct load load;
	struct sluice_engine *engine;
	size_t pending; /* records whose handler has not run yet */
	char *payload;
	struct sluice_args *records;
	struct sluice_socket **sockets; /* of each record */
};

/* Nearly empty, because the peers have no equivalent. Errors are checked after the run. */
static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_runner *self = args->user_token;

	(void)socket;
	self->pending--;
}

/* A start that did not return 1, pending: no handler will run. */
static void not_pending(struct sluice_runner *self, int answer)
{
	runner_sluice_check(answer, "sluice: a send was refused");
	self->pending--;
}

/* Errors of a stream persist: every later send reports one, too. */
static void check_errors(const struct sluice_runner *self)
{
	for (size_t i = 0; i < self->load.records; i++) {
		const struct sluice_args *args = &self->records[i];

		if (args->error != SLUICE_ERROR_SUCCESS)
			errx(1, "sluice: a send failed: %s", strerror(args->native_error));
	}
}

static void run_until_sent(struct sluice_runner *self)
{
	while (self->pending > 0)
		runner_sluice_check(sluice_engine_run(self->engine, -1), "sluice_engine_run");
}

static inline void start_record(struct sluice_runner *self, size_t i)
{
	int answer = sluice_send_async(self->sockets[i], &self->records[i]);

	if (answer != 1)
		not_pending(self, answer);
}

static void run_single(struct runner *runner, uint64_t times)
{
	struct sluice_runner *self = (struct sluice_runner *)runner;

	while (times-- > 0) {
		self->pending = 1;
		start_record(self, 0);
		run_until_sent(self);
	}
	check_errors(self);
}

static void run_batch(struct runner *runner, uint64_t times)
{
	struct sluice_runner *self = (struct sluice_runner *)runner;
	size_t records = self->load.records;

	while (times-- > 0) {
		runner_sluice_check(sluice_batch_begin(self->engine), "sluice_batch_begin");
		self->pending = records;
		for (size_t i = 0; i < records; i++)
			start_record(self, i);
		runner_sluice_check(sluice_batch_end(self->engine), "sluice_batch_end");
		run_until_sent(self);
	}
	check_errors(self);
}

static void destroy(struct runner *runner)
{
	struct sluice_runner *self = (struct sluice_runner *)runner;

	runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	free(self->sockets);
	free(self->records);
	free(self->payload);
	free(self);
}

static void make_records(struct sluice_runner *self)
{
	const struct load *load = &self->load;

	self->payload = runner_payload(load);
	self->records = runner_allocate(load->records, sizeof(*self->records));
	for (size_t i = 0; i < load->records; i++) {
		struct sluice_args *args = &self->records[i];
		struct iovec segments[2];

		args->completed = on_sent;
		args->user_token = self;
		if (runner_record(load, self->payload, i, segments) == 2)
			runner_sluice_check(sluice_args_set_buffer_list(args, segments, 2),
					    "sluice_args_set_buffer_list");
		else
			runner_sluice_check(sluice_args_set_buffer(args, segments->iov_base,
								   segments->iov_len, 0,
								   (int64_t)segments->iov_len),
					    "sluice_args_set_buffer");
	}
}

static void attach_sockets(struct sluice_runner *self)
{
	int *fds = runner_connect(&self->load);

	self->sockets = runner_allocate(self->load.records, sizeof(struct sluice_socket *));
	for (size_t i = 0; i < self->load.records; i++) {
		if (i < self->load.sockets)
			runner_sluice_check(sluice_socket_attach(self->engine, fds[i],
								 &self->sockets[i]),
					    "sluice_socket_attach");
		else
			self->sockets[i] = self->sockets[i - self->load.sockets];
	}
	free(fds);
}

static struct runner *create_with(const struct load *load, struct sluice_engine *engine)
{
	struct sluice_runner *self = runner_allocate(1, sizeof(*self));

	self->load = *load;
	self->runner = (struct runner){.run = load->records == 1 ? run_single : run_batch,
				       .destroy = destroy};
	self->engine = engine;
	make_records(self);
	attach_sockets(self);
	return &self->runner;
}

static struct runner *create_on(const struct load *load, uint32_t backend)
{
	return create_with(load, runner_sluice_engine(load, backend));
}

static struct runner *create_sqpoll(const struct load *load)
{
	return create_with(load, runner_sluice_engine_with_thread(load));
}

/* One record, one batch, many sockets: the rest would only lengthen the measurement. */
static bool suits_sqpoll(const struct load *load)
{
	bool small = load->record_bytes == 64 && !load->header_bytes && !load->shared;

	return small && ((load->sockets == 1 && load->records <= 32) || load->sockets == 64);
}

const struct peer peer_sluice_sqpoll = {.name = "sluice-sqpoll",
					.title = "sluice, SQPOLL",
					.loads = LOADS(LOAD_RECORDS),
					.suits = suits_sqpoll,
					.lacks = runner_sluice_lacks_thread,
					.create = create_sqpoll};

SIDE_SLUICE_PEERS(peer_sluice, LOADS(LOAD_RECORDS) | LOADS(LOAD_DATAGRAMS), create_on);
