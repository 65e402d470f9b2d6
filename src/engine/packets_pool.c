/* SPDX-License-Identifier: MIT */
/*
 * Pools for send_packets: side structures of records, and blocks for the contents of small files.
 * After a socket's first send_packets, nothing is allocated.
 */
#include "engine/packets_pool.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/queue.h"
#include "core/packets.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/state.h"

#define BLOCKS 512u /* of one engine: 4 MiB */

char *sluice__bounce_take(struct sluice_engine *engine)
{
	char *block;

	pthread_mutex_lock(&engine->lock);
	block = (char *)sluice__pool_get(&engine->packets_pool.bounces_free);
	if (!block && engine->packets_pool.bounces < BLOCKS) {
		block = sluice__allocate(engine, SLUICE__BOUNCE_BYTES);
		engine->packets_pool.bounces += block != NULL;
	}
	pthread_mutex_unlock(&engine->lock);
	return block;
}

void sluice__bounce_put(struct sluice_engine *engine, char *bounce)
{
	pthread_mutex_lock(&engine->lock);
	sluice__pool_put(&engine->packets_pool.bounces_free, (struct sluice__link *)(void *)bounce);
	pthread_mutex_unlock(&engine->lock);
}

void sluice__bounces_free(struct sluice_engine *engine)
{
	struct sluice__link *block;

	while ((block = sluice__pool_get(&engine->packets_pool.bounces_free)))
		free(block);
}

#define OWNER_POOL_MAX 64

/* The engine's thread has a pool of its own, which needs no lock. */
static struct sluice__packets *packets_pool_take(struct sluice_engine *engine)
{
	struct sluice__link *link;

	if (sluice__is_owner(engine) && engine->packets_pool.own_count) {
		engine->packets_pool.own_count--;
		link = sluice__pool_get(&engine->packets_pool.own);
	} else {
		pthread_mutex_lock(&engine->lock);
		link = sluice__pool_get(&engine->packets_pool.pool);
		pthread_mutex_unlock(&engine->lock);
	}
	return sluice__element(link, struct sluice__packets, link);
}

struct sluice__packets *sluice__packets_take(struct sluice_engine *engine)
{
	struct sluice__packets *packets = packets_pool_take(engine);

	if (packets)
		return packets;
	packets = sluice__allocate(engine, sizeof *packets);
	if (packets) {
		packets->parts = packets->inline_parts;
		packets->capacity = SLUICE__PARTS_INLINE;
	}
	return packets;
}

/* The owner keeps up to OWNER_POOL_MAX; the rest goes to the shared pool. */
void sluice__packets_give(struct sluice_engine *engine, struct sluice__packets *packets)
{
	sluice__assert(!packets->bounce);
	if (sluice__is_owner(engine) && engine->packets_pool.own_count < OWNER_POOL_MAX) {
		engine->packets_pool.own_count++;
		sluice__pool_put(&engine->packets_pool.own, &packets->link);
		return;
	}
	pthread_mutex_lock(&engine->lock);
	sluice__pool_put(&engine->packets_pool.pool, &packets->link);
	pthread_mutex_unlock(&engine->lock);
}

bool sluice__packets_reserve(struct sluice_engine *engine)
{
	struct sluice__packets *packets;

	sluice__assert_owner(engine);
	if (likely(engine->packets_pool.own_count))
		return true;
	packets = sluice__packets_take(engine);
	if (packets)
		sluice__packets_give(engine, packets);
	return packets != NULL;
}

void sluice__packets_reset(struct sluice__packets *packets)
{
	packets->count = 0;
	packets->index = 0;
	packets->opened = false;
	packets->beyond = false;
	packets->uncached = false;
	packets->at = 0;
	packets->cached_to = 0;
	packets->memory = 0;
	packets->copy = false;
	packets->by_calls = false;
	packets->bounce_used = 0;
}

void sluice__packets_close(struct sluice_engine *engine, struct sluice__packets *packets)
{
	if (packets->opened) {
		for (uint32_t i = 0; i < packets->count; i++) {
			if (packets->parts[i].ours)
				close(packets->parts[i].fd);
		}
		if (sluice__is_owner(engine))
			sluice__descriptor_freed(engine);
	}
	if (packets->bounce)
		sluice__bounce_put(engine, packets->bounce);
	packets->bounce = NULL;
	packets->count = 0;
	sluice__packets_give(engine, packets);
}

static void packets_pool_free(struct sluice__pool *pool)
{
	struct sluice__packets *packets;

	while ((packets = sluice__element(sluice__pool_get(pool), struct sluice__packets, link))) {
		if (packets->parts != packets->inline_parts)
			free(packets->parts);
		free(packets);
	}
}

void sluice__packets_free_pool(struct sluice_engine *engine)
{
	packets_pool_free(&engine->packets_pool.own);
	packets_pool_free(&engine->packets_pool.pool);
	sluice__bounces_free(engine);
}
