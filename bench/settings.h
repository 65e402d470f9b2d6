/* SPDX-License-Identifier: MIT */
/* The command line of a program of pairs. */
#ifndef BENCH_SETTINGS_H
#define BENCH_SETTINGS_H

#include <sluice/engine.h>

#include "pair.h"

struct settings {
	struct pair_method method;
	int sender_cpu;
	int receiver_cpu;
	int receiver_nap_us;
	int against_itself; /* the baseline on both sides: what the method's noise is */
	int list;
	const char *json_path;
	const char *directory; /* for files */
	struct sluice_options options;
	char **names; /* of the scenarios to run; all if there are none */
	int name_count;
};

void settings_default(struct settings *settings);

/* Exits with 2 after a mistake, with 0 after --help. */
void settings_parse(struct settings *settings, int argc, char **argv);

/* Whether the scenario of that name is to be run. */
int settings_select(const struct settings *settings, const char *name);

#endif
