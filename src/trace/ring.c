/* SPDX-License-Identifier: MIT */
/* A ring of events that is written without a lock and may be read meanwhile. */
#include <string.h>

#include "base/assert.h"
#include "trace/trace.h"

void sluice__trace_ring_put(struct sluice__trace_ring *ring, uint64_t place,
			    const struct sluice__trace_event *event)
{
	struct sluice__trace_slot *slot = &ring->slots[place & ring->mask];
	uint64_t words[SLUICE__TRACE_EVENT_WORDS];

	sluice__assert(slot && (ring->mask & (ring->mask + 1)) == 0);
	memcpy(words, event, sizeof words);
	/* Each word is stored behind the 0. */
	__atomic_store_n(&slot->place, 0, __ATOMIC_RELAXED);
	for (size_t i = 0; i < SLUICE__TRACE_EVENT_WORDS; i++)
		__atomic_store_n(&slot->words[i], words[i], __ATOMIC_RELEASE);
	__atomic_store_n(&slot->place, place + 1, __ATOMIC_RELEASE);
}

/* 1: it is whole; 0: not yet written; -1: overwritten. */
static int copy(const struct sluice__trace_slot *slot, uint64_t place,
		struct sluice__trace_event *event)
{
	uint64_t words[SLUICE__TRACE_EVENT_WORDS];
	uint64_t found = __atomic_load_n(&slot->place, __ATOMIC_ACQUIRE);

	if (found != place + 1)
		return found > place + 1 ? -1 : 0;
	for (size_t i = 0; i < SLUICE__TRACE_EVENT_WORDS; i++)
		words[i] = __atomic_load_n(&slot->words[i], __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&slot->place, __ATOMIC_RELAXED) != found)
		return -1;
	memcpy(event, words, sizeof words);
	return 1;
}

int sluice__trace_ring_get(const struct sluice__trace_ring *ring, uint64_t *place, uint64_t *lost,
			   struct sluice__trace_event *event)
{
	for (;;) {
		uint64_t next = __atomic_load_n(&ring->next, __ATOMIC_ACQUIRE);
		int found;

		if (next - *place > ring->mask + 1) {
			*lost += next - *place - (ring->mask + 1);
			*place = next - (ring->mask + 1);
		}
		if (*place == next)
			return 0;
		found = copy(&ring->slots[*place & ring->mask], *place, event);
		if (found >= 0)
			return found;
		*lost += 1;
		*place += 1;
	}
}
