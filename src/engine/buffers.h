/* SPDX-License-Identifier: MIT */
/* Receive buffers of the engine, lent to handlers. */
#ifndef SLUICE_SRC_ENGINE_BUFFERS_H
#define SLUICE_SRC_ENGINE_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

#define SLUICE__BUFFERS_MAX 32768u /* of an engine: the kernel's bound for a buffer ring */

struct sluice__receiver;
struct sluice_engine;

struct sluice_buffer {
	struct sluice__link link;
	struct sluice__receiver *receiver; /* the receiver that it is lent to */
	char *data;
	uint32_t length; /* bytes received */
	uint16_t id;
	bool own; /* not from the pool, see sluice__buffer_own */
};

struct sluice__receive_pool {
	struct sluice_buffer *buffers;
	char *memory;
	uint32_t count; /* free or in use */
	uint32_t most;  /* maximum, for which memory is mapped */
	bool kept;      /* the backend has returned buffers: paused receivers can resume */
	uint32_t out;   /* filled: lent, or waiting for delivery */
	struct sluice__pool free;      /* without a provided-buffer ring */
	struct sluice__pool own;       /* free buffers for the output of filters */
	struct sluice__stack returned; /* released by other threads */
	struct sluice__fifo paused;    /* receivers that wait for a buffer */
};

int sluice__buffers_open(struct sluice_engine *engine);
void sluice__buffers_close(struct sluice_engine *engine);
struct sluice_buffer *sluice__buffer(struct sluice_engine *engine, uint16_t id);
bool sluice__buffers_grow(struct sluice_engine *engine); /* doubles; false: at the maximum */
/* Maximum buffers of one socket at present: fewer while less than half of the pool is free. */
uint32_t sluice__buffers_share(const struct sluice_engine *engine);
int sluice__buffers_borrow(struct sluice_engine *engine); /* the id of a free one, or -ENOBUFS */
char *sluice__buffer_data(struct sluice_engine *engine, uint16_t id);
void sluice__buffers_keep(struct sluice_engine *engine, uint16_t id); /* returns a borrowed one */
/* A buffer outside of the pool, for the output of a filter. NULL: limit reached, or no memory. */
struct sluice_buffer *sluice__buffer_own(struct sluice_engine *engine);
/* Releases a buffer of either kind. */
void sluice__buffer_drop(struct sluice_engine *engine, struct sluice_buffer *buffer);

#endif
