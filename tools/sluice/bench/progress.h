/* SPDX-License-Identifier: MIT */
/* A progress line on a terminal; nothing if the output is not one. */
#ifndef SLUICE_COMMAND_BENCH_PROGRESS_H
#define SLUICE_COMMAND_BENCH_PROGRESS_H

#include <stddef.h>

/* So many scenarios are to come; and the next one is. */
void progress_start(size_t scenarios);
void progress_scenario(void);

void progress_session(const char *scenario, size_t session, size_t sessions);

/* Erases the line, so that something else can be printed. */
void progress_clear(void);

#endif
