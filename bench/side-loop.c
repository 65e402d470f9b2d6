/* SPDX-License-Identifier: MIT */
/*
 * A loop that sends nothing, on both sides of a comparison: what the method can tell apart on this
 * machine, and what the tests slow down to see whether that is found.
 */
#include <stdlib.h>

#include "side.h"

#define STEPS 20000

static void run(struct side *side, uint64_t times)
{
	(void)side;
	for (uint64_t i = 0; i < times * STEPS; i++)
		__asm__ volatile("" ::: "memory");
}

static void destroy(struct side *side)
{
	free(side);
}

static struct side *create(const struct load *load)
{
	struct side *side = side_allocate(1, sizeof(*side));

	(void)load;
	*side = (struct side){.run = run, .destroy = destroy};
	return side;
}

const struct peer peer_sluice_loop = {
	.name = "sluice",
	.title = "a loop",
	.loads = LOADS(LOAD_LOOP),
	.create = create,
};

const struct peer peer_loop = {
	.name = "loop",
	.title = "the same loop",
	.loads = LOADS(LOAD_LOOP),
	.create = create,
};
