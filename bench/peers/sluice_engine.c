/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "peers/sluice.h"

void runner_sluice_check(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, strerror(-error));
}

struct sluice_engine *runner_sluice_engine(const struct load *load, uint32_t backend)
{
	struct sluice_options options = *load->options;
	struct sluice_engine *engine;

	if (backend != SLUICE_BACKEND_AUTO)
		options.backend = backend;
	if (load->wait_budget_ns > 0)
		options.wait_budget_ns = load->wait_budget_ns;
	runner_sluice_check(sluice_engine_create(&engine, &options), "sluice_engine_create");
	return engine;
}

/* Any CPU: the scheduler chooses a free one. */
static struct sluice_engine *engine_with_thread(const struct sluice_options *given)
{
	struct sluice_options options = *given;
	struct sluice_engine *engine;

	options.submission_thread = 1;
	options.backend = SLUICE_BACKEND_URING;
	return sluice_engine_create(&engine, &options) < 0 ? NULL : engine;
}

struct sluice_engine *runner_sluice_engine_with_thread(const struct load *load)
{
	struct sluice_engine *engine = engine_with_thread(load->options);

	if (!engine)
		errx(1, "sluice_engine_create: no engine with a submission thread");
	return engine;
}

/* Under a real-time policy, which it inherits, it would occupy its core until it sleeps. */
const char *runner_sluice_lacks_thread(const struct load *load)
{
	struct sluice_engine_statistics statistics = {.size = sizeof(statistics)};
	struct sluice_engine *engine;

	if (sched_getscheduler(0) != SCHED_OTHER)
		return "its thread would spin at a real-time priority";
	engine = engine_with_thread(load->options);
	if (engine) {
		sluice_engine_statistics(engine, &statistics);
		sluice_engine_destroy(engine);
	}
	return statistics.capabilities & SLUICE_CAPABILITY_SUBMISSION_THREAD
		       ? NULL
		       : "the kernel lends no submission thread (SQPOLL)";
}

/* The backend that the reference uses with these options. */
static uint32_t backend_of(const struct sluice_options *options)
{
	struct sluice_engine_statistics statistics = {.size = sizeof(statistics)};
	struct sluice_engine *engine;

	runner_sluice_check(sluice_engine_create(&engine, options), "sluice_engine_create");
	sluice_engine_statistics(engine, &statistics);
	sluice_engine_destroy(engine);
	return statistics.backend;
}

bool runner_sluice_suits_uring(const struct load *load)
{
	return backend_of(load->options) != SLUICE_BACKEND_URING;
}

bool runner_sluice_suits_epoll(const struct load *load)
{
	return backend_of(load->options) != SLUICE_BACKEND_EPOLL;
}

const char *runner_sluice_lacks_uring(const struct load *load)
{
	static char reason[128];
	struct sluice_options options;
	struct sluice_engine *engine;
	int error;

	(void)load;
	sluice_options_init(&options, sizeof(options));
	options.backend = SLUICE_BACKEND_URING;
	error = sluice_engine_create(&engine, &options);
	if (error == 0) {
		sluice_engine_destroy(engine);
		return NULL;
	}
	snprintf(reason, sizeof(reason), "no engine on io_uring: %s", strerror(-error));
	return reason;
}
