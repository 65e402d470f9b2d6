/* SPDX-License-Identifier: MIT */
/* A lock-free ring of events, which may be read while it is written. */
#include <string.h>

#include "base/assert.h"
#include "trace/trace.h"

void sluice__trace_ring_put(struct sluice__trace_ring *ring, uint64_t position,
			    const struct sluice__trace_event *event)
{
	struct sluice__trace_slot *slot = &ring->slots[position & ring->mask];
	uint64_t words[SLUICE__TRACE_EVENT_WORDS];

	sluice__assert(slot && (ring->mask & (ring->mask + 1)) == 0);
	memcpy(words, event, sizeof words);
	/* Release: no word is visible before the 0. */
	__atomic_store_n(&slot->position, 0, __ATOMIC_RELAXED);
	for (size_t i = 0; i < SLUICE__TRACE_EVENT_WORDS; i++)
		__atomic_store_n(&slot->words[i], words[i], __ATOMIC_RELEASE);
	__atomic_store_n(&slot->position, position + 1, __ATOMIC_RELEASE);
}

/* 1: copied; 0: not written yet; -1: overwritten. */
static int ring_copy_event(const struct sluice__trace_slot *slot, uint64_t position,
			   struct sluice__trace_event *event)
{
	uint64_t words[SLUICE__TRACE_EVENT_WORDS];
	uint64_t found = __atomic_load_n(&slot->position, __ATOMIC_ACQUIRE);

	if (found != position + 1)
		return found > position + 1 ? -1 : 0;
	for (size_t i = 0; i < SLUICE__TRACE_EVENT_WORDS; i++)
		words[i] = __atomic_load_n(&slot->words[i], __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&slot->position, __ATOMIC_RELAXED) != found)
		return -1;
	memcpy(event, words, sizeof words);
	return 1;
}

int sluice__trace_ring_get(const struct sluice__trace_ring *ring, uint64_t *position,
			   uint64_t *lost, struct sluice__trace_event *event)
{
	for (;;) {
		uint64_t next = __atomic_load_n(&ring->next, __ATOMIC_ACQUIRE);
		int found;

		if (next - *position > ring->mask + 1) {
			*lost += next - *position - (ring->mask + 1);
			*position = next - (ring->mask + 1);
		}
		if (*position == next)
			return 0;
		found = ring_copy_event(&ring->slots[*position & ring->mask], *position, event);
		if (found >= 0)
			return found;
		*lost += 1;
		*position += 1;
	}
}
