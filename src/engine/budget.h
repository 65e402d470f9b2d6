/* SPDX-License-Identifier: MIT */
/* The budget of a turn: how many handlers of events and posts it may call. */
#ifndef SLUICE_SRC_ENGINE_BUDGET_H
#define SLUICE_SRC_ENGINE_BUDGET_H

#include <sluice/statistics.h>
#include <stdbool.h>
#include <stdint.h>

struct sluice__budget {
	uint64_t end;   /* sluice__budget_used at which events and posts stop */
	uint32_t waits; /* turns in a row that records filled */
};

/* Operations started by handlers of events and posts that count as one handler. */
#define SLUICE__STARTS_A_HANDLER 16

static inline uint64_t sluice__budget_used(const struct sluice_engine_statistics *statistics)
{
	return statistics->handlers * SLUICE__STARTS_A_HANDLER + statistics->records_started;
}

/* Whether another handler of an event or a post may be called in this turn. */
static inline bool sluice__within_budget(const struct sluice__budget *budget,
					 const struct sluice_engine_statistics *statistics)
{
	return sluice__budget_used(statistics) < budget->end;
}

#endif
