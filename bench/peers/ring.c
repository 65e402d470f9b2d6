/* SPDX-License-Identifier: MIT */
/*
 * liburing, twice. Naively: a default ring, and one SEND per record. Well: a ring with a single
 * issuer and deferred task work, registered files, one vectored send for all records of a socket,
 * and all sockets in one submission.
 */
#include <err.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/runner.h"

#define ENTRIES_MAX 4096
#define SEGMENTS_MAX 1024 /* of one call, UIO_MAXIOV */

/* One request: what it sends, and what remains of it. */
struct job {
	int file; /* a descriptor, or the index of a registered one */
	struct iovec *pieces;
	size_t count;
	struct msghdr message; /* of the rest */
	struct iovec *rest;
	size_t left;
};

struct ring_runner {
	struct runner runner;
	struct load load;
	struct io_uring ring;
	bool fixed; /* files are registered */
	unsigned entries;
	int *fds;
	char *payload;
	struct iovec *pieces;
	struct iovec *rests;
	struct job *jobs;
	size_t job_count;
};

static void prepare(struct ring_runner *self, struct job *job)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);

	if (job->message.msg_iovlen == 1)
		io_uring_prep_send(sqe, job->file, job->message.msg_iov->iov_base,
				   job->message.msg_iov->iov_len, MSG_NOSIGNAL);
	else
		io_uring_prep_sendmsg(sqe, job->file, &job->message, MSG_NOSIGNAL);
	if (self->fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, job);
}

static void start(struct ring_runner *self, struct job *job)
{
	job->message = (struct msghdr){.msg_iov = job->pieces, .msg_iovlen = job->count};
	job->left = 0;
	for (size_t i = 0; i < job->count; i++)
		job->left += job->pieces[i].iov_len;
	prepare(self, job);
}

/* The rest of a short send, in separate memory: the segments are reused. */
static void cut(struct job *job, size_t sent)
{
	const struct iovec *piece = job->message.msg_iov;
	size_t count = job->message.msg_iovlen;

	while (count > 0 && sent >= piece->iov_len) {
		sent -= piece->iov_len;
		piece++;
		count--;
	}
	memmove(job->rest, piece, count * sizeof(*piece));
	job->rest->iov_base = (char *)job->rest->iov_base + sent;
	job->rest->iov_len -= sent;
	job->message.msg_iov = job->rest;
	job->message.msg_iovlen = count;
}

/* Whether the job is done; else it continues. */
static bool settle(struct ring_runner *self, struct job *job, int result)
{
	if (result < 0)
		errx(1, "ring: %s", strerror(-result));
	job->left -= (size_t)result;
	if (job->left == 0)
		return true;
	if (result > 0)
		cut(job, (size_t)result);
	prepare(self, job);
	return false;
}

static void enter(struct ring_runner *self, unsigned wait)
{
	int submitted = io_uring_submit_and_wait(&self->ring, wait);

	if (submitted < 0)
		errx(1, "io_uring_submit_and_wait: %s", strerror(-submitted));
}

static void complete(struct ring_runner *self, size_t pending)
{
	while (pending > 0) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;

		enter(self, (unsigned)pending);
		io_uring_for_each_cqe(&self->ring, head, cqe)
		{
			seen++;
			if (settle(self, io_uring_cqe_get_data(cqe), cqe->res))
				pending--;
		}
		io_uring_cq_advance(&self->ring, seen);
	}
}

static void run(struct runner *runner, uint64_t times)
{
	struct ring_runner *self = (struct ring_runner *)runner;

	while (times-- > 0) {
		for (size_t first = 0; first < self->job_count; first += self->entries) {
			size_t count = self->job_count - first;

			if (count > self->entries)
				count = self->entries;
			for (size_t i = 0; i < count; i++)
				start(self, &self->jobs[first + i]);
			complete(self, count);
		}
	}
}

static void destroy(struct runner *runner)
{
	struct ring_runner *self = (struct ring_runner *)runner;

	io_uring_queue_exit(&self->ring);
	runner_disconnect(&self->load, self->fds);
	free(self->jobs);
	free(self->rests);
	free(self->pieces);
	free(self->payload);
	free(self);
}

/* A job for each record, or for each socket. */
static void make_jobs(struct ring_runner *self, size_t count)
{
	const struct load *load = &self->load;
	struct iovec *next = self->pieces;

	self->job_count = count;
	self->jobs = runner_allocate(count, sizeof(*self->jobs));
	for (size_t i = 0; i < count; i++) {
		struct job *job = &self->jobs[i];
		size_t socket = i % load->sockets;

		job->file = self->fixed ? (int)socket : self->fds[socket];
		job->pieces = next;
		job->rest = self->rests + (next - self->pieces);
		for (size_t record = i; record < load->records; record += count)
			next += runner_record(load, self->payload, record, next);
		job->count = (size_t)(next - job->pieces);
	}
}

static struct ring_runner *create(const struct load *load, size_t jobs, unsigned flags)
{
	struct ring_runner *self = runner_allocate(1, sizeof(*self));
	int error;

	self->runner = (struct runner){.run = run, .destroy = destroy};
	self->load = *load;
	self->entries = jobs < ENTRIES_MAX ? (unsigned)jobs : ENTRIES_MAX;
	error = io_uring_queue_init(self->entries, &self->ring, flags);
	if (error < 0)
		errx(1, "io_uring_queue_init: %s", strerror(-error));
	self->payload = runner_payload(load);
	self->pieces = runner_allocate(2 * load->records, sizeof(*self->pieces));
	self->rests = runner_allocate(2 * load->records, sizeof(*self->rests));
	self->fds = runner_connect(load);
	return self;
}

static struct runner *create_naive(const struct load *load)
{
	struct ring_runner *self = create(load, load->records, 0);

	make_jobs(self, load->records);
	return &self->runner;
}

/* Older kernels support neither flag, and are naive in this. */
static unsigned flags_for_one_thread(void)
{
	const unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, flags) < 0)
		return 0;
	io_uring_queue_exit(&ring);
	return flags;
}

static struct runner *create_well(const struct load *load)
{
	struct ring_runner *self = create(load, load->sockets, flags_for_one_thread());

	self->fixed = io_uring_register_files(&self->ring, self->fds, (unsigned)load->sockets) == 0;
	io_uring_register_ring_fd(&self->ring);
	make_jobs(self, load->sockets);
	return &self->runner;
}

/* The limit of one call: several at once on one socket would have to be ordered. */
static bool suits_well(const struct load *load)
{
	size_t pieces = load->header_bytes > 0 ? 2 : 1;

	return load->records % load->sockets == 0 &&
	       load->records / load->sockets * pieces <= SEGMENTS_MAX;
}

static const char *lacks(const struct load *load)
{
	static char reason[64];
	struct io_uring ring;
	int error = io_uring_queue_init(1, &ring, 0);

	(void)load;
	if (error == 0) {
		io_uring_queue_exit(&ring);
		return NULL;
	}
	snprintf(reason, sizeof(reason), "no ring: %s", strerror(-error));
	return reason;
}

const struct peer peer_ring_naive = {
	.name = "ring-naive",
	.title = "liburing, SEND each",
	.loads = LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT),
	.lacks = lacks,
	.create = create_naive,
};

const struct peer peer_ring = {
	.name = "ring",
	.title = "liburing, used well",
	.loads = LOADS(LOAD_RECORDS) | LOADS(LOAD_FAN_OUT),
	.suits = suits_well,
	.lacks = lacks,
	.create = create_well,
};
