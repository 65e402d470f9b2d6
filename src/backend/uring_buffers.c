/* SPDX-License-Identifier: MIT */
/* The engine's receive buffers as a provided-buffer ring, from which the kernel picks. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/backend.h"
#include "backend/uring.h"
#include "base/assert.h"
#include "engine/buffers.h"
#include "engine/owner.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/state.h"

static int register_buffer_ring(struct sluice__uring *uring, unsigned int entries)
{
	size_t bytes = entries * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg registration;

	uring->buffer_ring =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (uring->buffer_ring == MAP_FAILED) {
		uring->buffer_ring = NULL;
		return -ENOMEM;
	}
	io_uring_buf_ring_init(uring->buffer_ring);
	uring->buffer_ring_entries = entries;
	memset(&registration, 0, sizeof registration);
	registration.ring_addr = (uintptr_t)uring->buffer_ring;
	registration.ring_entries = entries;
	registration.bgid = SLUICE__BUFFER_GROUP;
	if (io_uring_register_buf_ring(&uring->ring, &registration, 0) == 0)
		return 0;
	munmap(uring->buffer_ring, bytes);
	uring->buffer_ring = NULL;
	return -EINVAL;
}

int sluice__uring_buffers_open(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;
	uint32_t least = engine->options.receive_buffers;
	int error = -EINVAL;

	sluice__assert_owner(engine);
	if (!(engine->capabilities & SLUICE_CAPABILITY_BUFFER_RING))
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_MULTISHOT_RECEIVE;
	if (!(engine->capabilities & SLUICE_CAPABILITY_MULTISHOT_RECEIVE))
		return 0;
	if (!uring->in_ring)
		uring->in_ring = sluice__allocate(engine, engine->receive_pool.most);
	if (!uring->in_ring)
		return -ENOMEM;
	/* Newer kernels charge the buffer ring to RLIMIT_MEMLOCK: a smaller one may succeed. */
	for (uint32_t most = engine->receive_pool.most; error && most >= least; most /= 2) {
		error = register_buffer_ring(uring, most);
		if (error == 0)
			engine->receive_pool.most = most;
		else if (error == -ENOMEM && most == least)
			return error;
	}
	if (error)
		engine->capabilities &= ~(uint32_t)(SLUICE_CAPABILITY_BUFFER_RING |
						    SLUICE_CAPABILITY_MULTISHOT_RECEIVE);
	return 0;
}

void sluice__uring_buffer_return(struct sluice_engine *engine, uint16_t id)
{
	struct sluice__uring *uring = engine->uring;

	sluice__assert_owner(engine);
	sluice__assert(id < engine->receive_pool.count);
	/* Without the buffer ring, receives take buffers from the engine's pool. */
	if (!uring->buffer_ring || !(engine->capabilities & SLUICE_CAPABILITY_MULTISHOT_RECEIVE)) {
		sluice__buffers_keep(engine, id);
		return;
	}
	uring->in_ring[id] = true;
	io_uring_buf_ring_add(uring->buffer_ring, sluice__buffer_data(engine, id),
			      engine->options.receive_buffer_bytes, id,
			      io_uring_buf_ring_mask(uring->buffer_ring_entries), 0);
	io_uring_buf_ring_advance(uring->buffer_ring, 1);
}

/* The cancelled receives start again, without provided buffers. */
void sluice__uring_buffers_retire(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;

	sluice__assert_owner(engine);
	if (uring->retiring_buffers || !uring->buffer_ring)
		return;
	uring->retiring_buffers = true;
	pthread_mutex_lock(&engine->lock);
	for (struct sluice_socket *socket = engine->sockets; socket; socket = socket->next) {
		if (socket->in.kind == SLUICE__REQUEST_RECEIVE_MULTI)
			sluice__request_cancel(socket, &socket->in);
	}
	pthread_mutex_unlock(&engine->lock);
}

void sluice__uring_buffers_retired(struct sluice_engine *engine)
{
	struct sluice__uring *uring = engine->uring;

	sluice__assert_owner(engine);
	if (uring->selecting)
		return;
	uring->retiring_buffers = false;
	io_uring_unregister_buf_ring(&uring->ring, SLUICE__BUFFER_GROUP);
	for (unsigned int id = 0; id < uring->buffer_ring_entries; id++) {
		if (uring->in_ring[id])
			sluice__buffers_keep(engine, (uint16_t)id);
	}
	sluice__uring_buffers_close(uring);
	uring->buffer_ring = NULL;
	engine->receive_pool.kept = true;
}

void sluice__uring_buffers_close(struct sluice__uring *uring)
{
	if (uring->buffer_ring)
		munmap(uring->buffer_ring,
		       uring->buffer_ring_entries * sizeof(struct io_uring_buf));
}
