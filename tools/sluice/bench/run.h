/* SPDX-License-Identifier: MIT */
/* Runs a scenario: selects its peers, and evaluates the result. */
#ifndef SLUICE_COMMAND_BENCH_RUN_H
#define SLUICE_COMMAND_BENCH_RUN_H

#include "report/result.h"
#include "settings.h"

struct run {
	const struct settings *settings;
	size_t descriptors; /* limit of a process */
};

/* Adds the scenario to the result, or the reason why it is missing. */
void run_scenario(const struct run *run, const struct scenario *scenario, struct result *result);

/* Why the peer cannot perform the load here, or NULL. */
const char *run_lacks(const struct peer *peer, const struct load *load);

#endif
