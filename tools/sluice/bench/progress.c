/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static struct {
	size_t scenario;
	size_t scenarios;
	bool shown;
} progress;

void progress_start(size_t scenarios)
{
	progress.scenarios = scenarios;
}

void progress_scenario(void)
{
	progress.scenario++;
}

void progress_session(const char *scenario, size_t session, size_t sessions)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K[%zu/%zu] %s, session %zu of %zu", progress.scenario,
		progress.scenarios, scenario, session, sessions);
	fflush(stderr);
	progress.shown = true;
}

void progress_clear(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
	progress.shown = false;
}
