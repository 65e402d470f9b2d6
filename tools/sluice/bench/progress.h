/* SPDX-License-Identifier: MIT */
/* A line on a terminal that says how far the run has come; nothing where nobody looks. */
#ifndef SLUICE_COMMAND_BENCH_PROGRESS_H
#define SLUICE_COMMAND_BENCH_PROGRESS_H

#include <stddef.h>

/* So many scenarios are to come; and the next one is. */
void progress_start(size_t scenarios);
void progress_scenario(void);

void progress_session(const char *scenario, size_t session, size_t sessions);

/* Takes the line away, so that something else can be printed. */
void progress_clear(void);

#endif
