/* SPDX-License-Identifier: MIT */
/*
 * Handles of results. A Begin returns not the address of a result, whose memory is reused, but a
 * number: the index of a slot and the slot's generation, unique in the process. So a stale handle
 * is always recognised. Slots belong to the process and are never freed: a handle can be looked up
 * even after its socket was destroyed.
 */
#include "apm/apm.h"
#include "base/assert.h"
#include "base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define INDEX_BITS 24u
#define CHUNK 1024u /* slots per allocation */
#define CHUNKS ((1u << INDEX_BITS) / CHUNK)

_Static_assert(sizeof(uintptr_t) == 8, "an index and a generation fit into a pointer");

/* Guards the following; the pointers to chunks are atomic. */
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sluice__slot *chunks[CHUNKS];
static uint32_t slots_made;
static struct sluice__pool slots_free;

void sluice__handles_lock(void)
{
	pthread_mutex_lock(&handles_lock);
}

void sluice__handles_unlock(void)
{
	pthread_mutex_unlock(&handles_lock);
}

static struct sluice__slot *make_slot(void)
{
	struct sluice__slot *chunk = chunks[slots_made / CHUNK];
	struct sluice__slot *slot;

	if (!chunk) {
		chunk = calloc(CHUNK, sizeof *chunk);
		if (!chunk)
			return NULL;
		__atomic_store_n(&chunks[slots_made / CHUNK], chunk, __ATOMIC_RELEASE);
	}
	slot = &chunk[slots_made % CHUNK];
	slot->index = slots_made++;
	return slot;
}

static struct sluice__slot *take_slot(void)
{
	struct sluice__slot *slot =
		sluice__element(sluice__pool_get(&slots_free), struct sluice__slot, link);

	if (!slot && slots_made < CHUNKS * CHUNK)
		slot = make_slot();
	return slot;
}

static void put_slot(struct sluice__result *result)
{
	struct sluice__slot *slot = result->slot;

	if (!slot)
		return;
	sluice__assert(slot->result == result);
	__atomic_store_n(&slot->socket, NULL, __ATOMIC_RELEASE);
	sluice__pool_put(&slots_free, &slot->link);
}

int sluice__handles_make(struct sluice__result *results, uint32_t count)
{
	uint32_t made;

	sluice__handles_lock();
	for (made = 0; made < count; made++) {
		struct sluice__slot *slot = take_slot();

		if (!slot)
			break;
		__atomic_store_n(&slot->result, &results[made], __ATOMIC_RELAXED);
		__atomic_store_n(&slot->before, slot->generation, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->socket, results[made].socket, __ATOMIC_RELEASE);
		results[made].slot = slot;
	}
	sluice__handles_unlock();
	if (made == count)
		return 0;
	sluice__handles_free(results, made);
	return -ENOMEM;
}

void sluice__handles_free(struct sluice__result *results, uint32_t count)
{
	sluice__handles_lock();
	for (uint32_t i = 0; i < count; i++)
		put_slot(&results[i]);
	sluice__handles_unlock();
}

struct sluice_async_result *sluice__handle_of(const struct sluice__result *result)
{
	const struct sluice__slot *slot = result->slot;

	sluice__assert(slot && slot->generation > 0);
	return (struct sluice_async_result *)(uintptr_t)(slot->generation << INDEX_BITS |
							 slot->index);
}

static uint64_t generation_of(const struct sluice_async_result *handle)
{
	return (uintptr_t)handle >> INDEX_BITS;
}

static struct sluice__slot *slot_of(const struct sluice_async_result *handle)
{
	uint32_t index = (uintptr_t)handle & ((1u << INDEX_BITS) - 1);
	struct sluice__slot *chunk = __atomic_load_n(&chunks[index / CHUNK], __ATOMIC_ACQUIRE);

	return chunk ? &chunk[index % CHUNK] : NULL;
}

int sluice__handle_find(const struct sluice_async_result *handle,
			const struct sluice_socket *socket, struct sluice__result **ret_result)
{
	struct sluice__slot *slot = slot_of(handle);
	const struct sluice_socket *of = slot ? __atomic_load_n(&slot->socket, __ATOMIC_ACQUIRE)
					      : NULL;
	uint64_t generation = generation_of(handle), now;

	if (!of || (socket && of != socket))
		return -EINVAL;
	now = __atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE);
	if (generation <= __atomic_load_n(&slot->before, __ATOMIC_RELAXED) || generation > now)
		return -EINVAL;
	if (generation < now)
		return -EALREADY;
	*ret_result = __atomic_load_n(&slot->result, __ATOMIC_RELAXED);
	return 0;
}
