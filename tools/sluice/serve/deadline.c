/* SPDX-License-Identifier: MIT */
#include "serve/deadline.h"

/* A tick may be nearly over when it is counted, hence one more. */
void deadline_begin(struct deadline *deadline, uint64_t tick, uint64_t seconds)
{
	deadline->tick = tick + seconds + 1;
}

/* At the tick itself: what was taken was taken in the second before it. */
bool deadline_took(struct deadline *deadline, uint64_t tick, uint64_t seconds,
		   uint64_t acknowledged)
{
	if (deadline->taken == acknowledged)
		return false;
	deadline->taken = acknowledged;
	deadline->tick = tick + seconds;
	return true;
}
