/* SPDX-License-Identifier: MIT */
#include "side.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096

void *side_allocate(size_t count, size_t bytes)
{
	size_t pages = (count * bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	void *memory = aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES);

	if (!memory)
		err(1, "out of memory");
	memset(memory, 0, pages * PAGE_BYTES);
	return memory;
}
