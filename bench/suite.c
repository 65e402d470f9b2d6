/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conditions.h"
#include "report.h"
#include "settings.h"

/* Makes both sides anew, measures them and, the last time, reports. */
static void sit(const struct scenario *scenario, const struct settings *settings,
		const struct load *load, struct pair_result *result, struct report *report)
{
	side_create_fn *ours = settings->against_itself ? scenario->baseline : scenario->ours;
	side_create_fn *const create[PAIR_SIDES] = {ours, scenario->baseline};
	/* The kernel's memory favours one of the first and the second, so they take turns. */
	int first = result->rounds / settings->method.rounds % 2 ? PAIR_OURS : PAIR_BASELINE;
	int second = PAIR_SIDES - 1 - first;
	struct side *sides[PAIR_SIDES];

	sides[first] = create[first](load);
	sides[second] = create[second](load);
	pair_measure(sides, &settings->method, result);
	if (result->rounds == settings->method.sittings * settings->method.rounds) {
		pair_evaluate(result);
		report_pair(report, scenario, sides, result);
	}
	for (int side = 0; side < PAIR_SIDES; side++)
		sides[side]->destroy(sides[side]);
}

static void run_scenario(const struct suite *suite, const struct scenario *scenario,
			 const struct settings *settings, const struct receiver *receivers,
			 struct report *report)
{
	static struct pair_result result; /* too large for a stack */
	struct load load = scenario->load;

	load.receiver = &receivers[scenario->receiver];
	load.options = &settings->options;
	if (load.file_bytes)
		load.file_fd = suite->make_file(settings->directory, load.file_bytes);

	result = (struct pair_result){0};
	for (size_t i = 0; i < settings->method.sittings; i++)
		sit(scenario, settings, &load, &result, report);

	if (load.file_bytes)
		close(load.file_fd);
}

static int list(const struct suite *suite)
{
	for (size_t i = 0; i < suite->scenario_count; i++)
		printf("%-24s %s\n", suite->scenarios[i].name, suite->scenarios[i].title);
	return 0;
}

int suite_main(int argc, char **argv, const struct suite *suite)
{
	struct receiver receivers[RECEIVER_MODES];
	struct settings settings;
	struct conditions conditions;
	struct report *report;

	settings_parse(&settings, argc, argv);
	if (settings.list)
		return list(suite);

	signal(SIGPIPE, SIG_IGN);
	net_lift_descriptor_limit();
	for (int mode = 0; mode < RECEIVER_MODES; mode++)
		receiver_start(&receivers[mode], (enum receiver_mode)mode, settings.receiver_cpu,
			       settings.receiver_nap_us);
	net_pin(settings.sender_cpu);

	conditions_collect(&conditions, &settings, &receivers[RECEIVER_DISCARDS]);
	report = report_open(suite, &settings, &conditions);
	for (size_t i = 0; i < suite->scenario_count; i++) {
		if (settings_select(&settings, suite->scenarios[i].name))
			run_scenario(suite, &suite->scenarios[i], &settings, receivers, report);
	}
	report_close(report);

	for (int mode = 0; mode < RECEIVER_MODES; mode++)
		receiver_stop(&receivers[mode]);
	return 0;
}
