/* SPDX-License-Identifier: MIT */
/* The command line of `sluice bench`. */
#ifndef SLUICE_COMMAND_BENCH_SETTINGS_H
#define SLUICE_COMMAND_BENCH_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/engine.h>

#include "harness/measure.h"
#include "harness/scenarios.h"

struct settings {
	/* The options as given. */
	const char *json_path;
	const char *html_path;
	const char *compare_path;
	const char *from_path; /* a result to show instead of measuring */
	const char *peer_names;
	const char *directory;
	bool list;
	bool quick;
	bool full;
	bool against_itself;
	uint64_t backend;
	uint64_t receiver_sleep_us;
	uint64_t wait_budget_us; /* options.wait_budget_ns of our engines */
	uint64_t sessions;
	uint64_t rounds;
	uint64_t slice_ms;
	uint64_t sender_cpu;
	uint64_t receiver_cpu;
	char **names; /* of scenarios */
	int name_count;

	/* The values derived from them. */
	bool html_by_default; /* html_path was not given */
	enum effort effort;
	struct method method;
	struct place place;
	struct sluice_options options; /* of sluice's engines */
};

/* An exit code, or -1 to continue. */
int settings_parse(struct settings *settings, int argc, char **argv);

/* Whether the scenario is to be run, and whether the peer is. sluice always is. */
bool settings_want_scenario(const struct settings *settings, const struct scenario *scenario);
bool settings_want_peer(const struct settings *settings, const struct peer *peer);

/* Whether the peer was requested by its own name. */
bool settings_name_peer(const struct settings *settings, const struct peer *peer);

#endif
