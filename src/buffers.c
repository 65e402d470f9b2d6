/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers: made once, with the first receive_start; a fixed number, an option. On the ring
 * the free ones stand in the kernel's buffer ring, otherwise in a list here.
 */
#include "buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine.h"

int sluice__buffers_open(struct sluice_engine *engine)
{
	uint32_t count = engine->options.receive_buffers;
	uint32_t bytes = engine->options.receive_buffer_bytes;
	int error;

	if (engine->buffers)
		return 0;
	engine->buffers = sluice__allocate(engine, count * sizeof *engine->buffers);
	if (!engine->buffers)
		return -ENOMEM;
	engine->buffer_memory = mmap(NULL, (size_t)count * bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__atomic_fetch_add(&engine->statistics.allocations, 1, __ATOMIC_RELAXED);
	if (engine->buffer_memory == MAP_FAILED) {
		engine->buffer_memory = NULL;
		sluice__buffers_close(engine);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++) {
		engine->buffers[i].id = (uint16_t)i;
		engine->buffers[i].data = engine->buffer_memory + (size_t)i * bytes;
	}
	error = engine->backend->buffers_open(engine);
	if (error) {
		sluice__buffers_close(engine);
		return error;
	}
	for (uint32_t i = count; i-- > 0;)
		engine->backend->buffer_return(engine, (uint16_t)i);
	return 0;
}

void sluice__buffers_close(struct sluice_engine *engine)
{
	if (engine->buffer_memory)
		munmap(engine->buffer_memory, (size_t)engine->options.receive_buffers *
						      engine->options.receive_buffer_bytes);
	free(engine->buffers);
	engine->buffer_memory = NULL;
	engine->buffers = NULL;
}

struct sluice_buffer *sluice__buffer(struct sluice_engine *engine, uint16_t id)
{
	return &engine->buffers[id];
}

char *sluice__buffer_data(struct sluice_engine *engine, uint16_t id)
{
	return engine->buffers[id].data;
}

int sluice__buffers_borrow(struct sluice_engine *engine)
{
	struct sluice_buffer *buffer = engine->buffers_free;

	if (!buffer)
		return -ENOBUFS;
	engine->buffers_free = buffer->next;
	return buffer->id;
}

void sluice__buffers_keep(struct sluice_engine *engine, uint16_t id)
{
	struct sluice_buffer *buffer = &engine->buffers[id];

	buffer->next = engine->buffers_free;
	engine->buffers_free = buffer;
}

void sluice__buffer_put(struct sluice_engine *engine, struct sluice_buffer *buffer)
{
	struct sluice__receiver *receiver = buffer->receiver;

	buffer->receiver = NULL;
	engine->backend->buffer_return(engine, buffer->id);
	if (receiver) {
		engine->statistics.buffers_lent--;
		sluice__receiver_returned(receiver);
	}
	sluice__receiver_resume_paused(engine);
}

void sluice__buffers_take_returned(struct sluice_engine *engine)
{
	struct sluice_buffer *buffer;

	if (!__atomic_load_n(&engine->buffers_returned, __ATOMIC_RELAXED))
		return;
	buffer = __atomic_exchange_n(&engine->buffers_returned, NULL, __ATOMIC_ACQUIRE);
	while (buffer) {
		struct sluice_buffer *next = buffer->next;

		sluice__buffer_put(engine, buffer);
		buffer = next;
	}
}

void sluice_buffer_release(struct sluice_engine *engine, struct sluice_buffer *buffer)
{
	struct sluice_buffer *first;

	if (!engine || !buffer)
		return;
	if (sluice__is_owner(engine)) {
		sluice__buffer_put(engine, buffer);
		if (engine->foreign && !engine->busy)
			sluice__listen_again(engine);
		return;
	}
	first = __atomic_load_n(&engine->buffers_returned, __ATOMIC_RELAXED);
	do {
		buffer->next = first;
	} while (!__atomic_compare_exchange_n(&engine->buffers_returned, &first, buffer, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	sluice__engine_nudge(engine);
}
