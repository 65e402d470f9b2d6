/* SPDX-License-Identifier: MIT */
/*
 * liburing's SEND_ZC for each record, one at a time per socket; the next is sent while the kernel
 * still holds the previous one.
 */
#include <err.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/runner.h"

/* liburing 2.3 lacks both; the kernel has them since 6.2. */
#define ZC_REPORT_USAGE (1u << 3)
#define ZC_COPIED (1u << 31)

#define ENTRIES 64

struct zc_runner {
	struct runner runner;
	struct load load;
	struct io_uring ring;
	uint64_t held; /* sends whose notification is outstanding */
	int *fds;
	char *payload;
};

/* The number of bytes, when the completion is a send's; else -1. */
static int settle(struct zc_runner *self, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_NOTIF) {
		self->held--;
		if ((uint32_t)cqe->res & ZC_COPIED)
			self->runner.copied = true;
		return -1;
	}
	if (cqe->res < 0)
		errx(1, "SEND_ZC: %s", strerror(-cqe->res));
	self->held += (cqe->flags & IORING_CQE_F_MORE) != 0;
	return cqe->res;
}

static int take_one(struct zc_runner *self)
{
	struct io_uring_cqe *cqe;
	int result;

	if (io_uring_peek_cqe(&self->ring, &cqe) != 0) {
		result = io_uring_submit_and_wait(&self->ring, 1);
		if (result < 0)
			errx(1, "io_uring_submit_and_wait: %s", strerror(-result));
		if (io_uring_peek_cqe(&self->ring, &cqe) != 0)
			return -1;
	}
	result = settle(self, cqe);
	io_uring_cqe_seen(&self->ring, cqe);
	return result;
}

static void send_record(struct zc_runner *self, const struct iovec *record)
{
	const char *data = record->iov_base;
	size_t length = record->iov_len;

	while (length > 0) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
		int sent;

		io_uring_prep_send_zc(sqe, self->fds[0], data, length, MSG_NOSIGNAL,
				      ZC_REPORT_USAGE);
		io_uring_submit(&self->ring);
		do {
			sent = take_one(self);
		} while (sent < 0);
		data += sent;
		length -= (size_t)sent;
	}
}

static void run(struct runner *runner, uint64_t times)
{
	struct zc_runner *self = (struct zc_runner *)runner;

	while (times-- > 0) {
		for (size_t i = 0; i < self->load.records; i++) {
			struct iovec record[2];

			runner_record(&self->load, self->payload, i, record);
			send_record(self, record);
		}
		while (self->held > 0)
			take_one(self);
	}
}

static void destroy(struct runner *runner)
{
	struct zc_runner *self = (struct zc_runner *)runner;

	io_uring_queue_exit(&self->ring);
	runner_disconnect(&self->load, self->fds);
	free(self->payload);
	free(self);
}

static struct runner *create(const struct load *load)
{
	struct zc_runner *self = runner_allocate(1, sizeof(*self));
	int error;

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	error = io_uring_queue_init(ENTRIES, &self->ring, 0);
	if (error < 0)
		errx(1, "io_uring_queue_init: %s", strerror(-error));
	self->payload = runner_payload(load);
	self->fds = runner_connect(load);
	return &self->runner;
}

static bool suits(const struct load *load)
{
	return load->sockets == 1 && load->header_bytes == 0 && load->record_bytes >= 16384;
}

static const char *lacks(const struct load *load)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool there = probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);

	(void)load;
	io_uring_free_probe(probe);
	return there ? NULL : "this kernel has no ring, or no SEND_ZC";
}

const struct peer peer_send_zc = {
	.name = "send-zc",
	.title = "liburing, SEND_ZC",
	.loads = LOADS(LOAD_RECORDS),
	.suits = suits,
	.lacks = lacks,
	.create = create,
};
