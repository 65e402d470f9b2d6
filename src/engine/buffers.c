/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers. The first receive_start maps memory for the maximum number; pages are touched as
 * more buffers come into use. With io_uring, free buffers are in a provided-buffer ring, otherwise
 * in a free list here.
 */
#include "engine/buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "engine/owner.h"
#include "engine/state.h"

/* Allocates the array and maps the memory. 0, or -ENOMEM without effect. */
static int buffers_allocate(struct sluice_engine *engine, uint32_t most)
{
	engine->receive_pool.buffers =
		sluice__allocate(engine, most * sizeof *engine->receive_pool.buffers);
	if (!engine->receive_pool.buffers)
		return -ENOMEM;
	engine->receive_pool.most = most;
	engine->receive_pool.memory =
		mmap(NULL, (size_t)most * engine->options.receive_buffer_bytes,
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	if (engine->receive_pool.memory != MAP_FAILED)
		return 0;
	engine->receive_pool.memory = NULL;
	sluice__buffers_close(engine);
	return -ENOMEM;
}

/* A power of two, because options.receive_buffers is one. */
static uint32_t buffers_max(const struct sluice_options *options)
{
	uint64_t most = options->receive_buffers;

	while (most * 2 <= SLUICE__BUFFERS_MAX &&
	       most * 2 * options->receive_buffer_bytes <= options->receive_bytes_max)
		most *= 2;
	return (uint32_t)most;
}

static void buffers_add(struct sluice_engine *engine, uint32_t count)
{
	uint32_t first = engine->receive_pool.count;

	for (uint32_t i = first; i < count; i++) {
		engine->receive_pool.buffers[i].id = (uint16_t)i;
		engine->receive_pool.buffers[i].data =
			engine->receive_pool.memory +
			(size_t)i * engine->options.receive_buffer_bytes;
	}
	engine->receive_pool.count = count;
	for (uint32_t i = count; i-- > first;)
		engine->backend->buffer_return(engine, (uint16_t)i);
}

int sluice__buffers_open(struct sluice_engine *engine)
{
	uint32_t count = engine->options.receive_buffers;
	uint32_t most = buffers_max(&engine->options);
	int error;

	sluice__assert_owner(engine);
	if (engine->receive_pool.buffers)
		return 0;
	error = buffers_allocate(engine, most);
	if (error && most > count)
		error = buffers_allocate(engine, count);
	if (error)
		return error;
	error = engine->backend->buffers_open(engine);
	if (error) {
		sluice__buffers_close(engine);
		return error;
	}
	buffers_add(engine, count);
	return 0;
}

bool sluice__buffers_grow(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	sluice__assert(engine->receive_pool.out <= engine->receive_pool.count);
	if (engine->receive_pool.count >= engine->receive_pool.most)
		return false;
	buffers_add(engine, engine->receive_pool.count * 2);
	return true;
}

uint32_t sluice__buffers_share(const struct sluice_engine *engine)
{
	uint64_t whole = engine->options.receive_buffers_per_socket;
	uint64_t half = engine->receive_pool.most / 2;
	uint64_t left = engine->receive_pool.most - engine->receive_pool.out;

	sluice__assert_owner(engine);
	sluice__assert(engine->receive_pool.out <= engine->receive_pool.most);
	if (left >= half || !half)
		return (uint32_t)whole;
	return left * whole > half ? (uint32_t)(left * whole / half) : 1;
}

static struct sluice_buffer *own_buffers_pop(struct sluice_engine *engine)
{
	return sluice__element(sluice__pool_get(&engine->receive_pool.own), struct sluice_buffer,
			       link);
}

static void own_buffers_free(struct sluice_engine *engine)
{
	struct sluice_buffer *buffer;

	while ((buffer = own_buffers_pop(engine)))
		free(buffer);
}

void sluice__buffers_close(struct sluice_engine *engine)
{
	if (engine->receive_pool.memory)
		munmap(engine->receive_pool.memory,
		       (size_t)engine->receive_pool.most * engine->options.receive_buffer_bytes);
	own_buffers_free(engine);
	free(engine->receive_pool.buffers);
	engine->receive_pool.memory = NULL;
	engine->receive_pool.buffers = NULL;
	engine->receive_pool.count = 0;
}

struct sluice_buffer *sluice__buffer(struct sluice_engine *engine, uint16_t id)
{
	sluice__assert_owner(engine);
	sluice__assert(id < engine->receive_pool.count);
	return &engine->receive_pool.buffers[id];
}

char *sluice__buffer_data(struct sluice_engine *engine, uint16_t id)
{
	sluice__assert_owner(engine);
	return engine->receive_pool.buffers[id].data;
}

int sluice__buffers_borrow(struct sluice_engine *engine)
{
	const struct sluice_buffer *buffer = sluice__element(
		sluice__pool_get(&engine->receive_pool.free), struct sluice_buffer, link);

	sluice__assert_owner(engine);
	return buffer ? buffer->id : -ENOBUFS;
}

void sluice__buffers_keep(struct sluice_engine *engine, uint16_t id)
{
	sluice__assert_owner(engine);
	sluice__assert(id < engine->receive_pool.count);
	sluice__pool_put(&engine->receive_pool.free, &engine->receive_pool.buffers[id].link);
}

struct sluice_buffer *sluice__buffer_own(struct sluice_engine *engine)
{
	struct sluice_buffer *buffer;

	sluice__assert_owner(engine);
	if (engine->receive_pool.out >= engine->receive_pool.most)
		return NULL;
	buffer = own_buffers_pop(engine);
	if (buffer)
		return buffer;
	buffer = malloc(sizeof *buffer + engine->options.receive_buffer_bytes);
	if (!buffer)
		return NULL;
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	*buffer = (struct sluice_buffer){.data = (char *)(buffer + 1), .own = true};
	return buffer;
}

void sluice__buffer_drop(struct sluice_engine *engine, struct sluice_buffer *buffer)
{
	sluice__assert_owner(engine);
	engine->receive_pool.out--;
	if (buffer->own)
		sluice__pool_put(&engine->receive_pool.own, &buffer->link);
	else
		engine->backend->buffer_return(engine, buffer->id);
}
