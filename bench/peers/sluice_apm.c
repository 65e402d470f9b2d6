/* SPDX-License-Identifier: MIT */
/*
 * sluice by Begin and End, next to the same by records: sluice_begin_send of each record, several
 * in a batch, then sluice_end_send of each. Without callbacks: those run in separate threads, which
 * may block.
 */
#include <err.h>
#include <stdlib.h>

#include "peers/sluice.h"

struct apm_runner {
	struct runner runner;
	struct load load;
	struct sluice_engine *engine;
	struct sluice_socket **sockets;
	struct sluice_async_result **results; /* of each record */
	char *payload;
};

static struct sluice_socket *socket_of(const struct apm_runner *self, size_t record)
{
	return self->sockets[record % self->load.sockets];
}

static void begin(struct apm_runner *self, size_t record)
{
	struct iovec segment[2];

	runner_record(&self->load, self->payload, record, segment);
	runner_sluice_check(sluice_begin_send(socket_of(self, record), segment->iov_base,
					      segment->iov_len, 0, (int64_t)segment->iov_len, 0,
					      NULL, NULL, NULL, &self->results[record]),
			    "sluice_begin_send");
}

/* This thread owns the engine, so End must not wait. */
static void end(struct apm_runner *self, size_t record)
{
	while (!sluice_async_result_is_completed(self->results[record]))
		runner_sluice_check(sluice_engine_run(self->engine, -1), "sluice_engine_run");
	if (sluice_end_send(socket_of(self, record), self->results[record], NULL) < 0)
		errx(1, "sluice_end_send failed");
}

static void run(struct runner *runner, uint64_t times)
{
	struct apm_runner *self = (struct apm_runner *)runner;
	size_t records = self->load.records;

	while (times-- > 0) {
		if (records > 1)
			runner_sluice_check(sluice_batch_begin(self->engine), "sluice_batch_begin");
		for (size_t i = 0; i < records; i++)
			begin(self, i);
		if (records > 1)
			runner_sluice_check(sluice_batch_end(self->engine), "sluice_batch_end");
		for (size_t i = 0; i < records; i++)
			end(self, i);
	}
}

static void destroy(struct runner *runner)
{
	struct apm_runner *self = (struct apm_runner *)runner;

	runner_sluice_check(sluice_engine_destroy(self->engine), "sluice_engine_destroy");
	free(self->results);
	free(self->sockets);
	free(self->payload);
	free(self);
}

static struct runner *create(const struct load *load)
{
	struct apm_runner *self = runner_allocate(1, sizeof(*self));
	int *fds = runner_connect(load);

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->engine = runner_sluice_engine(load, SLUICE_BACKEND_AUTO);
	self->payload = runner_payload(load);
	self->results = runner_allocate(load->records, sizeof(struct sluice_async_result *));
	self->sockets = runner_allocate(load->sockets, sizeof(struct sluice_socket *));
	for (size_t i = 0; i < load->sockets; i++)
		runner_sluice_check(sluice_socket_attach(self->engine, fds[i], &self->sockets[i]),
				    "sluice_socket_attach");
	free(fds);
	return &self->runner;
}

static bool suits(const struct load *load)
{
	return load->header_bytes == 0 && !load->shared;
}

const struct peer peer_sluice_apm = {
	.name = "sluice-begin",
	.title = "sluice, Begin and End",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits,
	.create = create,
};
