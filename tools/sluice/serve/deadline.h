/* SPDX-License-Identifier: MIT */
/* How long a connection may take for what it is doing, counted in ticks of a second. */
#ifndef SLUICE_COMMAND_SERVE_DEADLINE_H
#define SLUICE_COMMAND_SERVE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadline {
	uint64_t tick;  /* at which it is over */
	uint64_t taken; /* what the client had acknowledged when it was last asked */
};

/* Begins at any time within this tick: ends after the seconds and less than one more. */
void deadline_begin(struct deadline *deadline, uint64_t tick, uint64_t seconds);

/*
 * Told at each tick what the client has acknowledged so far. Something new begins the seconds anew: a
 * slow reader may take as long as it likes, as long as it takes something. Returns whether it was new.
 */
bool deadline_took(struct deadline *deadline, uint64_t tick, uint64_t seconds,
		   uint64_t acknowledged);

static inline bool deadline_is_over(const struct deadline *deadline, uint64_t tick)
{
	return tick >= deadline->tick;
}

#endif
