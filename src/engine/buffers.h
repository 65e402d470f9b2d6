/* SPDX-License-Identifier: MIT */
/* The engine's own receive buffers, lent to handlers. */
#ifndef SLUICE_SRC_ENGINE_BUFFERS_H
#define SLUICE_SRC_ENGINE_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

#define SLUICE__BUFFERS_MAX 32768u /* of an engine: the kernel's bound for a buffer ring */

struct sluice__receiver;

struct sluice_buffer {
	struct sluice__link link;
	struct sluice__receiver *receiver; /* the receiver that it is lent to */
	char *data;
	uint32_t length; /* bytes received */
	uint16_t id;
	bool own; /* not from the pool, see sluice__buffer_own */
};

#endif
