/* SPDX-License-Identifier: MIT */
/* Runs a scenario: which peers, how many at once, and what came out. */
#ifndef SLUICE_COMMAND_BENCH_RUN_H
#define SLUICE_COMMAND_BENCH_RUN_H

#include "report/result.h"
#include "settings.h"

struct run {
	const struct settings *settings;
	size_t descriptors; /* that a process may have */
};

/* Adds the scenario to the result, or why there is nothing of it. */
void run_scenario(const struct run *run, const struct scenario *scenario, struct result *result);

/* Why the peer cannot do the load here, or NULL. */
const char *run_lacks(const struct peer *peer, const struct load *load);

#endif
