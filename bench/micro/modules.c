/* SPDX-License-Identifier: MIT */
#include "micro/modules.h"

#include <assert.h>
#include <err.h>
#include <stdlib.h>

#include <sluice/sluice.h>

#include "core/plan.h"
#include "core/sendq.h"
#include "harness/runner.h"

#define RECORD_BYTES 64

struct modules {
	struct sluice__sendq queue;
	struct sluice__chain done;
	struct sluice__gather gather;
	struct sluice_args *records;
	size_t count;
};

struct modules *modules_create(size_t records)
{
	static const char payload[RECORD_BYTES];
	struct modules *self = runner_allocate(1, sizeof(*self));

	self->count = records;
	self->records = runner_allocate(records, sizeof(*self->records));
	for (size_t i = 0; i < records; i++) {
		if (sluice_args_set_buffer(&self->records[i], payload, RECORD_BYTES, 0,
					   RECORD_BYTES) != 0)
			errx(1, "sluice_args_set_buffer");
	}
	self->gather.capacity = 1024;
	self->gather.budget = UINT64_C(1) << 20;
	self->gather.segments = runner_allocate(self->gather.capacity, sizeof(struct iovec));
	sluice__sendq_init(&self->queue);
	sluice__chain_init(&self->done);
	return self;
}

void modules_destroy(struct modules *self)
{
	free(self->gather.segments);
	free(self->records);
	free(self);
}

void modules_enqueue(struct modules *self)
{
	for (size_t i = 0; i < self->count; i++) {
		sluice__sendq_push(&self->queue, &self->records[i]);
		sluice__sendq_count(&self->queue, self->queue.bytes + RECORD_BYTES);
	}
}

void modules_gather(struct modules *self)
{
	sluice__sendq_gather(&self->queue, &self->gather);
}

static void settle(struct modules *self, uint64_t taken)
{
	const struct sluice__flight flight = {
		.last = self->gather.last,
		.bytes = self->gather.bytes,
		.records = self->gather.records,
		.plain = self->gather.plain,
	};

	sluice__sendq_settle(&self->queue, &flight, taken, &self->done);
	sluice__chain_init(&self->done);
}

void modules_settle(struct modules *self)
{
	settle(self, self->gather.bytes);
	assert(!self->queue.list.head);
}

void modules_settle_short(struct modules *self)
{
	settle(self, self->gather.bytes - 1);
	self->records[self->count - 1].run.sent = 0;
	sluice__sendq_clear(&self->queue);
}

int modules_plan(size_t times)
{
	int sum = 0;

	for (size_t i = 0; i < times; i++) {
		const struct sluice__plan_memory memory = {.by_ring = i & 4, .full = i & 1};
		const struct sluice__plan_file file = {.way = SLUICE_FILE_WAY_AUTO,
						       .sendfile = true,
						       .joins_memory = i & 2,
						       .count = i,
						       .read_bytes = 2048};

		sum += sluice__plan_memory(&memory) + sluice__plan_file(&file);
	}
	return sum;
}
