/* SPDX-License-Identifier: MIT */
/* Pools for send_packets: side structures of records, and blocks for small files. */
#ifndef SLUICE_SRC_ENGINE_PACKETS_POOL_H
#define SLUICE_SRC_ENGINE_PACKETS_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct sluice__packets;
struct sluice_engine;

struct sluice__packets_pool {
	struct sluice__pool own; /* of the engine's thread, without a lock */
	uint32_t own_count;
	struct sluice__pool pool;         /* under the engine's lock */
	struct sluice__pool bounces_free; /* the same */
	uint32_t bounces;                 /* allocated so far */
};

void sluice__packets_close(struct sluice_engine *engine, struct sluice__packets *packets);
void sluice__packets_free_pool(struct sluice_engine *engine);
struct sluice__packets *sluice__packets_take(struct sluice_engine *engine); /* or NULL */
/* Makes the next take of the engine's thread succeed. False: out of memory. */
bool sluice__packets_reserve(struct sluice_engine *engine);
void sluice__packets_give(struct sluice_engine *engine, struct sluice__packets *packets);
void sluice__packets_reset(struct sluice__packets *packets);

#define SLUICE__BOUNCE_BYTES (8u << 10)
char *sluice__bounce_take(struct sluice_engine *engine); /* or NULL */
void sluice__bounce_put(struct sluice_engine *engine, char *bounce);
void sluice__bounces_free(struct sluice_engine *engine);

#endif
