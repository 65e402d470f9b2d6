/* SPDX-License-Identifier: MIT */
/*
 * Registered memory. The list is kept for every backend, so that the calls return the same; only
 * the ring pins the memory.
 */
#include <errno.h>

#include "backend/backend.h"
#include "core/zerocopy_policy.h"
#include "engine/owner.h"
#include "engine/state.h"
#include "send/send.h"

#define LONGEST ((size_t)1 << 30) /* kernel limit of one registered buffer */

_Static_assert(SLUICE__REGIONS <= 64, "region_refused has a bit for each region");

static bool contains_segment(const struct iovec *region, const struct iovec *segment)
{
	uintptr_t from = (uintptr_t)region->iov_base, at = (uintptr_t)segment->iov_base;

	return from && at >= from && segment->iov_len <= region->iov_len &&
	       at - from <= region->iov_len - segment->iov_len;
}

uint32_t sluice__region_of(const struct sluice_engine *engine, const struct iovec *segments,
			   uint32_t count)
{
	sluice__assert_owner(engine);
	for (uint32_t i = 0; i < engine->zerocopy->region_count; i++) {
		uint32_t inside = 0;

		if (engine->zerocopy->region_refused >> i & 1)
			continue;
		while (inside < count &&
		       contains_segment(&engine->zerocopy->regions[i], &segments[inside]))
			inside++;
		if (inside == count)
			return i + 1;
	}
	return 0;
}

static bool has_usable_region(const struct sluice_engine *engine)
{
	for (uint32_t i = 0; i < engine->zerocopy->region_count; i++) {
		if (engine->zerocopy->regions[i].iov_base &&
		    !(engine->zerocopy->region_refused >> i & 1))
			return true;
	}
	return false;
}

void sluice__zerocopy_limits(struct sluice_engine *engine)
{
	const struct sluice_options *options = &engine->options;
	uint64_t from =
		sluice__zerocopy_threshold(options->zerocopy_bytes, has_usable_region(engine));

	sluice__assert_owner(engine);
	if (options->transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY)
		from = 1;
	else if (options->zerocopy == SLUICE_ZEROCOPY_OFF)
		from = UINT64_MAX;
	if (!engine->backend->sends || !(engine->capabilities & SLUICE_CAPABILITY_ZEROCOPY))
		from = UINT64_MAX;
	engine->zerocopy_from = from;
	__atomic_store_n(&engine->queue_from, engine->hands_over ? 0 : from, __ATOMIC_RELAXED);
	engine->single_below = options->gather_bytes + 1;
	if (engine->single_below > from)
		engine->single_below = from;
}

static uint32_t find_region(const struct sluice_engine *engine, const void *base)
{
	uint32_t i = 0;

	while (i < engine->zerocopy->region_count && engine->zerocopy->regions[i].iov_base != base)
		i++;
	return i;
}

/* Returns 0 or the kernel's -errno; 0 without pinning if the backend cannot use it. */
static int pin_region(struct sluice_engine *engine, uint32_t place, const void *base, size_t length)
{
	int error;

	if (!(engine->capabilities & SLUICE_CAPABILITY_REGISTERED_MEMORY) ||
	    !engine->backend->memory_register) {
		engine->zerocopy->region_refused |= UINT64_C(1) << place;
		return 0;
	}
	error = engine->backend->memory_register(engine, place, base, length);
	if (error == 0)
		engine->zerocopy->region_refused &= ~(UINT64_C(1) << place);
	return error;
}

int sluice_engine_register_memory(struct sluice_engine *engine, const void *base, size_t length)
{
	int error = sluice__check_owner(engine);
	uint32_t place;

	if (error)
		return error;
	if (!base || length == 0 || length > LONGEST || (uintptr_t)base + length < length)
		return -EINVAL;
	if (find_region(engine, base) < engine->zerocopy->region_count)
		return -EEXIST;
	place = find_region(engine, NULL);
	if (place == SLUICE__REGIONS)
		return -ENOBUFS;
	error = pin_region(engine, place, base, length);
	if (error)
		return error;
	engine->zerocopy->regions[place].iov_base = (void *)(uintptr_t)base;
	engine->zerocopy->regions[place].iov_len = length;
	if (place == engine->zerocopy->region_count)
		engine->zerocopy->region_count++;
	sluice__zerocopy_limits(engine);
	return 0;
}

int sluice_engine_unregister_memory(struct sluice_engine *engine, const void *base)
{
	int error = sluice__check_owner(engine);
	uint32_t place;

	if (error)
		return error;
	if (!base)
		return -EINVAL;
	place = find_region(engine, base);
	if (place == engine->zerocopy->region_count)
		return -ENOENT;
	if (!(engine->zerocopy->region_refused >> place & 1)) {
		/* Unsubmitted entries that refer to the region would find it gone. */
		engine->backend->submit(engine);
		engine->backend->memory_unregister(engine, place);
	}
	engine->zerocopy->regions[place].iov_base = NULL;
	engine->zerocopy->regions[place].iov_len = 0;
	sluice__zerocopy_limits(engine);
	return 0;
}
