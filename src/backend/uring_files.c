/* SPDX-License-Identifier: MIT */
/*
 * FILE on the ring: a SPLICE entry from the file into a pipe, linked to one from the pipe into the
 * socket. Kernel workers execute both, since SPLICE never runs in the submitting thread. The socket
 * is non-blocking, so that no worker waits for the peer. Each request has a pipe of its own until it
 * completes. Bytes that the socket did not take are discarded with the pipe: they are still in the
 * file.
 *
 * The link is a hard one, because a short first splice would otherwise cancel the second. If the first
 * one moves nothing, the second finds the pipe empty and ends with EAGAIN.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "base/assert.h"
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/state.h"

#define PIPE_BYTES (1 << 20)
#define PIPE_BYTES_MIN (64 << 10)

/* Results of a system call that a signal interrupted; a cancelled worker may return them. */
#define ERESTARTSYS 512
#define ERESTART_LAST 516

struct sluice__slice {
	struct sluice__link link; /* in the pool */
	int ends[2];
	uint32_t bytes;  /* capacity of the pipe; 0: it is not open */
	int32_t filled;  /* from the file, or -errno */
	int32_t drained; /* into the socket, or -errno */
};

static void close_slice_pipe(struct sluice__slice *slice)
{
	if (!slice->bytes)
		return;
	close(slice->ends[0]);
	close(slice->ends[1]);
	slice->bytes = 0;
}

/* As large as this user may have it; a smaller one than PIPE_BYTES_MIN gains nothing. */
static bool open_slice_pipe(struct sluice__slice *slice)
{
	if (slice->bytes)
		return true;
	if (pipe2(slice->ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	for (int bytes = PIPE_BYTES; bytes >= PIPE_BYTES_MIN && !slice->bytes; bytes /= 2) {
		if (fcntl(slice->ends[1], F_SETPIPE_SZ, bytes) >= bytes)
			slice->bytes = (uint32_t)bytes;
	}
	if (slice->bytes)
		return true;
	close(slice->ends[0]);
	close(slice->ends[1]);
	return false;
}

static bool open_slices(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;

	if (uring->slices)
		return true;
	uring->slices = sluice__allocate(engine, SLUICE__SLICES * sizeof *uring->slices);
	if (!uring->slices)
		return false;
	for (uint32_t i = 0; i < SLUICE__SLICES; i++)
		sluice__pool_put(&uring->slices_free, &uring->slices[i].link);
	return true;
}

void sluice__uring_files_close(struct sluice__uring *uring)
{
	if (!uring->slices)
		return;
	for (uint32_t i = 0; i < SLUICE__SLICES; i++)
		close_slice_pipe(&uring->slices[i]);
	free(uring->slices);
}

/* Two entries of one submission, or false. What cannot be used is submitted as a NOP. */
static bool take_entries(struct sluice_engine *engine, struct io_uring_sqe *entries[2])
{
	for (int attempt = 0; attempt < 2; attempt++) {
		entries[0] = sluice__uring_entry(engine);
		if (!entries[0])
			return false;
		if (io_uring_sq_space_left(&engine->uring->ring)) {
			entries[1] = io_uring_get_sqe(&engine->uring->ring);
			return true;
		}
		io_uring_prep_nop(entries[0]);
		io_uring_sqe_set_data64(entries[0], SLUICE__INTERNAL_IGNORED);
	}
	return false;
}

int sluice__uring_start_file(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice__uring *uring = engine->uring;
	struct io_uring_sqe *entries[2];
	struct sluice__slice *slice;

	sluice__assert_owner(engine);
	if (!open_slices(engine))
		return -ENOMEM;
	slice = sluice__element(sluice__pool_get(&uring->slices_free), struct sluice__slice, link);
	if (!slice)
		return -EBUSY;
	if (!open_slice_pipe(slice) || !take_entries(engine, entries)) {
		sluice__pool_put(&uring->slices_free, &slice->link);
		return -ENOBUFS;
	}
	request->slice = slice;
	request->pending = 2;
	if (request->length > slice->bytes)
		request->length = slice->bytes;
	io_uring_prep_splice(entries[0], request->file, (int64_t)request->offset, slice->ends[1],
			     -1, (unsigned int)request->length, SPLICE_F_NONBLOCK);
	entries[0]->flags |= IOSQE_IO_HARDLINK;
	sluice__uring_invalidate(uring, entries[0], SLUICE_CAPABILITY_RING_SPLICE);
	io_uring_sqe_set_data64(entries[0], (uintptr_t)request | SLUICE__PART);
	io_uring_prep_splice(entries[1], slice->ends[0], -1, request->fd, -1,
			     (unsigned int)request->length, SPLICE_F_NONBLOCK);
	io_uring_sqe_set_data64(entries[1],
				(uintptr_t)request | SLUICE__PART | SLUICE__PART_SECOND);
	return 0;
}

static int32_t result_of(const struct sluice__slice *slice)
{
	int32_t result = slice->drained;

	if (result <= 0 && slice->filled <= 0)
		result = slice->filled;
	else if (result == 0)
		result = -EAGAIN;
	if (result == -EINTR || (result <= -ERESTARTSYS && result >= -ERESTART_LAST))
		result = -ECANCELED;
	return result;
}

bool sluice__uring_file_part(struct sluice_engine *engine, const struct io_uring_cqe *cqe,
			     struct sluice__completion *completion)
{
	struct sluice__request *request = completion->request;
	struct sluice__slice *slice = request->slice;

	sluice__assert_owner(engine);
	sluice__assert(request->pending > 0);
	if (cqe->user_data & SLUICE__PART_SECOND)
		slice->drained = cqe->res;
	else
		slice->filled = cqe->res;
	if (--request->pending)
		return false;
	if (slice->filled > 0 && slice->drained != slice->filled)
		close_slice_pipe(slice);
	completion->result = result_of(slice);
	completion->more = false;
	request->length = slice->filled > 0 ? (uint64_t)slice->filled : 0;
	sluice__pool_put(&engine->uring->slices_free, &slice->link);
	return true;
}
