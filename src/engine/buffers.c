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
	engine->buffers = sluice__allocate(engine, most * sizeof *engine->buffers);
	if (!engine->buffers)
		return -ENOMEM;
	engine->buffer_most = most;
	engine->buffer_memory = mmap(NULL, (size_t)most * engine->options.receive_buffer_bytes,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	if (engine->buffer_memory != MAP_FAILED)
		return 0;
	engine->buffer_memory = NULL;
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
	uint32_t first = engine->buffer_count;

	for (uint32_t i = first; i < count; i++) {
		engine->buffers[i].id = (uint16_t)i;
		engine->buffers[i].data =
			engine->buffer_memory + (size_t)i * engine->options.receive_buffer_bytes;
	}
	engine->buffer_count = count;
	for (uint32_t i = count; i-- > first;)
		engine->backend->buffer_return(engine, (uint16_t)i);
}

int sluice__buffers_open(struct sluice_engine *engine)
{
	uint32_t count = engine->options.receive_buffers;
	uint32_t most = buffers_max(&engine->options);
	int error;

	sluice__assert_owner(engine);
	if (engine->buffers)
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
	sluice__assert(engine->buffers_out <= engine->buffer_count);
	if (engine->buffer_count >= engine->buffer_most)
		return false;
	buffers_add(engine, engine->buffer_count * 2);
	return true;
}

uint32_t sluice__buffers_share(const struct sluice_engine *engine)
{
	uint64_t whole = engine->options.receive_buffers_per_socket;
	uint64_t half = engine->buffer_most / 2;
	uint64_t left = engine->buffer_most - engine->buffers_out;

	sluice__assert(engine->buffers_out <= engine->buffer_most);
	if (left >= half || !half)
		return (uint32_t)whole;
	return left * whole > half ? (uint32_t)(left * whole / half) : 1;
}

static struct sluice_buffer *own_buffers_pop(struct sluice_engine *engine)
{
	return sluice__element(sluice__pool_get(&engine->buffers_own), struct sluice_buffer, link);
}

static void own_buffers_free(struct sluice_engine *engine)
{
	struct sluice_buffer *buffer;

	while ((buffer = own_buffers_pop(engine)))
		free(buffer);
}

void sluice__buffers_close(struct sluice_engine *engine)
{
	if (engine->buffer_memory)
		munmap(engine->buffer_memory,
		       (size_t)engine->buffer_most * engine->options.receive_buffer_bytes);
	own_buffers_free(engine);
	free(engine->buffers);
	engine->buffer_memory = NULL;
	engine->buffers = NULL;
	engine->buffer_count = 0;
}

struct sluice_buffer *sluice__buffer(struct sluice_engine *engine, uint16_t id)
{
	sluice__assert(id < engine->buffer_count);
	return &engine->buffers[id];
}

char *sluice__buffer_data(struct sluice_engine *engine, uint16_t id)
{
	return engine->buffers[id].data;
}

int sluice__buffers_borrow(struct sluice_engine *engine)
{
	const struct sluice_buffer *buffer = sluice__element(
		sluice__pool_get(&engine->buffers_free), struct sluice_buffer, link);

	sluice__assert_owner(engine);
	return buffer ? buffer->id : -ENOBUFS;
}

void sluice__buffers_keep(struct sluice_engine *engine, uint16_t id)
{
	sluice__assert_owner(engine);
	sluice__assert(id < engine->buffer_count);
	sluice__pool_put(&engine->buffers_free, &engine->buffers[id].link);
}

struct sluice_buffer *sluice__buffer_own(struct sluice_engine *engine)
{
	struct sluice_buffer *buffer;

	if (engine->buffers_out >= engine->buffer_most)
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
	engine->buffers_out--;
	if (buffer->own)
		sluice__pool_put(&engine->buffers_own, &buffer->link);
	else
		engine->backend->buffer_return(engine, buffer->id);
}
