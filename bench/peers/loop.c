/* SPDX-License-Identifier: MIT */
/*
 * A loop that sends nothing, on both sides of a comparison: it shows the resolution of the method
 * on this machine, and tests slow it down to see whether that is detected.
 */
#include <stdlib.h>

#include "harness/runner.h"

#define STEPS 20000

static void run(struct runner *runner, uint64_t times)
{
	(void)runner;
	for (uint64_t i = 0; i < times * STEPS; i++)
		__asm__ volatile("" ::: "memory");
}

static void destroy(struct runner *runner)
{
	free(runner);
}

static struct runner *create(const struct load *load)
{
	struct runner *runner = runner_allocate(1, sizeof(*runner));

	(void)load;
	*runner = (struct runner){.run = run, .destroy = destroy};
	return runner;
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
