/* SPDX-License-Identifier: MIT */
/*
 * Ours, in three ways: records one at a time, records in a batch, files. As a program would, it
 * sets its records up once and starts them again and again.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/sluice.h>

#include "side.h"

struct sluice_side {
	struct side side;
	struct load load;
	size_t pending; /* records whose handler is still to run */
	char *payload;
	struct sluice_args *records;
	struct sluice_socket **sockets; /* of each record */
	struct sluice_packet packet;
};

static inline void check(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, strerror(-error));
}

/* Nearly empty, because the baseline has nothing like it. Errors are looked for after the run. */
static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_side *self = args->user_token;

	(void)socket;
	self->pending--;
}

/* A starting call that did not answer 1, pending: no handler will run. */
static void not_pending(struct sluice_side *self, int answer)
{
	check(answer, "sluice: a send was refused");
	self->pending--;
}

/* On a stream an error stays: every later send has one, too. */
static void check_errors(const struct sluice_side *self, size_t records)
{
	for (size_t i = 0; i < records; i++) {
		const struct sluice_args *args = &self->records[i];

		if (args->error != SLUICE_ERROR_SUCCESS)
			errx(1, "sluice: a send failed: %s", strerror(args->native_error));
	}
}

static void run_until_sent(struct sluice_side *self)
{
	while (self->pending > 0)
		check(sluice_engine_run(self->side.engine, -1), "sluice_engine_run");
}

static inline void start_record(struct sluice_side *self, size_t i)
{
	int answer = sluice_send_async(self->sockets[i], &self->records[i]);

	if (answer != 1)
		not_pending(self, answer);
}

static void run_eager(struct side *side, uint64_t times)
{
	struct sluice_side *self = (struct sluice_side *)side;

	while (times-- > 0) {
		for (size_t i = 0; i < self->load.records; i++) {
			self->pending = 1;
			start_record(self, i);
			run_until_sent(self);
		}
	}
	check_errors(self, self->load.records);
}

static void run_batch(struct side *side, uint64_t times)
{
	struct sluice_side *self = (struct sluice_side *)side;
	size_t records = self->load.records;

	while (times-- > 0) {
		check(sluice_batch_begin(side->engine), "sluice_batch_begin");
		self->pending = records;
		for (size_t i = 0; i < records; i++)
			start_record(self, i);
		check(sluice_batch_end(side->engine), "sluice_batch_end");
		run_until_sent(self);
	}
	check_errors(self, records);
}

static void run_file(struct side *side, uint64_t times)
{
	struct sluice_side *self = (struct sluice_side *)side;
	struct sluice_args *args = &self->records[0];

	while (times-- > 0) {
		int answer = sluice_send_packets_async(self->sockets[0], args);

		self->pending = 1;
		if (answer != 1)
			not_pending(self, answer);
		run_until_sent(self);
	}
	check_errors(self, 1);
}

static uint64_t system_calls(struct side *side)
{
	struct sluice_engine_statistics statistics = {.size = sizeof(statistics)};

	check(sluice_engine_statistics(side->engine, &statistics), "sluice_engine_statistics");
	return statistics.enters + statistics.inline_sends + statistics.inline_files +
	       statistics.file_looks;
}

static void destroy(struct side *side)
{
	struct sluice_side *self = (struct sluice_side *)side;

	check(sluice_engine_destroy(side->engine), "sluice_engine_destroy");
	free(self->sockets);
	free(self->records);
	free(self->payload);
	free(self);
}

static void make_records(struct sluice_side *self, size_t count, size_t bytes)
{
	self->payload = side_allocate(count, bytes);
	self->records = side_allocate(count, sizeof(*self->records));
	for (size_t i = 0; i < count; i++) {
		struct sluice_args *args = &self->records[i];

		args->completed = on_sent;
		args->user_token = self;
		check(sluice_args_set_buffer(args, self->payload + i * bytes, bytes, 0,
					     (int64_t)bytes),
		      "sluice_args_set_buffer");
	}
}

static void make_file_record(struct sluice_side *self)
{
	make_records(self, 1, 1);
	self->packet = (struct sluice_packet){.kind = SLUICE_PACKET_FILE,
					      .fd = self->load.file_fd,
					      .count = (int64_t)self->load.file_bytes};
	check(sluice_args_set_buffer(&self->records[0], NULL, 0, 0, 0), "sluice_args_set_buffer");
	check(sluice_args_set_packets(&self->records[0], &self->packet, 1),
	      "sluice_args_set_packets");
}

static void connect_sockets(struct sluice_side *self)
{
	size_t records = self->load.file_bytes ? 1 : self->load.records;

	self->sockets = side_allocate(records, sizeof(struct sluice_socket *));
	for (size_t i = 0; i < records; i++) {
		if (i < self->load.sockets)
			check(sluice_socket_attach(self->side.engine,
						   net_connect(self->load.receiver),
						   &self->sockets[i]),
			      "sluice_socket_attach");
		else
			self->sockets[i] = self->sockets[i - self->load.sockets];
	}
}

static struct sluice_side *create(const struct load *load, const char *name,
				  void (*run)(struct side *side, uint64_t times))
{
	struct sluice_side *self = side_allocate(1, sizeof(*self));

	self->load = *load;
	self->side = (struct side){name, run, system_calls, NULL, destroy};
	check(sluice_engine_create(&self->side.engine, load->options), "sluice_engine_create");
	if (load->file_bytes)
		make_file_record(self);
	else
		make_records(self, load->records, load->record_bytes);
	connect_sockets(self);
	return self;
}

struct side *side_sluice_eager_create(const struct load *load)
{
	return &create(load, "sluice, eager", run_eager)->side;
}

struct side *side_sluice_batch_create(const struct load *load)
{
	return &create(load, "sluice, batched", run_batch)->side;
}

struct side *side_sluice_file_create(const struct load *load)
{
	return &create(load, "sluice, send_packets", run_file)->side;
}
