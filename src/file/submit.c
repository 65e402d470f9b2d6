/* SPDX-License-Identifier: MIT */
/*
 * Slices of files that the ring sends through a pipe: SLUICE_FILE_WAY_SPLICE_RING. A slice is submitted
 * only while its socket is writable, and has at most the size of the free space in the send buffer. So a
 * slow reader holds neither a pipe nor a worker: its socket waits until it is writable, like all
 * others, and the next slice begins in the file where the last one ended.
 *
 * The backend limits the number of slices in flight; further sockets wait in order.
 */
#include <errno.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "core/packets.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"

#define PAGE 4096u

void sluice__slices_open(struct sluice_engine *engine)
{
	sluice__fifo_init(&engine->files->slices_waiting);
}

uint64_t sluice__file_align(uint64_t offset, uint64_t bytes)
{
	return bytes > PAGE ? bytes - (offset + bytes) % PAGE : bytes;
}

static void wait_for_slice(struct sluice_socket *socket)
{
	sluice__block(socket);
	socket->state |= SLUICE__ST_SLICE_WAIT;
	sluice__fifo_push(&socket->engine->files->slices_waiting, &socket->prefetch_link);
}

static bool resume_waiting(struct sluice_engine *engine)
{
	struct sluice_socket *socket =
		sluice__element(sluice__fifo_pop(&engine->files->slices_waiting),
				struct sluice_socket, prefetch_link);

	if (!socket)
		return false;
	sluice__unblock(socket);
	socket->state &= ~(uint32_t)SLUICE__ST_SLICE_WAIT;
	sluice__ready(socket);
	return true;
}

/* A socket that was resumed may not have needed its slice; then no completion resumes the next. */
bool sluice__slices_resume(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	return engine->files->slices_in_flight == 0 && resume_waiting(engine);
}

void sluice__slices_forget(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_SLICE_WAIT))
		return;
	sluice__unblock(socket);
	socket->state &= ~(uint32_t)SLUICE__ST_SLICE_WAIT;
	sluice__fifo_remove(&socket->engine->files->slices_waiting, &socket->prefetch_link);
}

static bool start_slice(struct sluice_socket *socket, const struct sluice__part *part,
			uint64_t offset, uint64_t count)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__request *out = &socket->out;
	int error;

	out->kind = SLUICE__REQUEST_FILE;
	out->file = part->fd;
	out->offset = offset;
	out->length = count;
	error = sluice__request_start(socket, out);
	if (error == -EBUSY) {
		wait_for_slice(socket);
		return true;
	}
	if (error)
		return false;
	socket->flight =
		(struct sluice__flight){sluice__sendq_head(&socket->queue), count, 1, false};
	sluice__flight_began(socket);
	engine->files->slices_in_flight++;
	engine->statistics.ring_files++;
	return true;
}

bool sluice__file_submit(struct sluice_socket *socket, const struct sluice__part *part,
			 uint64_t offset, uint64_t count)
{
	uint64_t space = sluice__syscall_writable_space(socket);

	sluice__assert_owner(socket->engine);
	sluice__assert(!(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)));
	if (!space) {
		sluice__transmit_blocked(socket);
		return true;
	}
	if (space < PAGE)
		space = PAGE;
	if (count > space)
		count = sluice__file_align(offset, space);
	return start_slice(socket, part, offset, count);
}

void sluice__slices_settled(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	sluice__assert(engine->files->slices_in_flight > 0);
	engine->files->slices_in_flight--;
	resume_waiting(engine);
}
