/* SPDX-License-Identifier: MIT */
/*
 * `sluice bench`: a program of its own, so that what peers need (libuv, a C++ library) is not
 * loaded by the daemon.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "compare.h"
#include "file.h"
#include "html.h"
#include "json.h"
#include "net.h"
#include "peers.h"
#include "progress.h"
#include "run.h"
#include "settings.h"
#include "table.h"

static int fail(const char *path, const char *what)
{
	fprintf(stderr, "sluice: %s: %s\n", path, what);
	return EXIT_FAILED;
}

static int list(const struct settings *settings)
{
	printf("Scenarios (q: also with --quick, f: only with --full):\n");
	for (size_t i = 0; i < scenario_count; i++)
		printf("  %c %-20s %s\n", "q f"[scenarios[i].effort], scenarios[i].name,
		       scenarios[i].title);
	printf("\nPeers:\n");
	for (size_t i = 0; peers[i] != NULL; i++) {
		const struct load load = {.options = &settings->options};
		const char *reason = run_lacks(peers[i], &load);

		if (peers_named_before(i))
			continue;
		printf("    %-20s %s%s%s\n", peers[i]->name, peers[i]->title,
		       reason ? "; missing: " : "", reason ? reason : "");
	}
	return EXIT_OK;
}

/* The whole file as a string, to be freed; NULL with errno. */
static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (file == NULL)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = NULL;
		errno = EINVAL;
	}
	fclose(file);
	return text;
}

static int load_result(const char *path, struct result *result)
{
	char *text = read_file(path);
	const char *error;

	if (text == NULL)
		return fail(path, strerror(errno));
	error = result_read(text, result);
	free(text);
	return error != NULL ? fail(path, error) : EXIT_OK;
}

static int save(const char *path, const struct result *result,
		void (*write)(const struct result *result, FILE *file))
{
	FILE *file = fopen(path, "we");
	int failed;

	if (file == NULL)
		return fail(path, strerror(errno));
	write(result, file);
	failed = ferror(file);
	if (fclose(file) != 0 || failed)
		return fail(path, strerror(errno));
	return EXIT_OK;
}

static void note_conditions(const struct settings *settings, struct result *result)
{
	struct receiver receiver;
	char file_system[32];

	receiver_start(&receiver, RECEIVER_DISCARDS, settings->place.receiver_cpu, 0);
	conditions_collect(&result->conditions, settings->place.sender_cpu, &settings->options,
			   &receiver);
	receiver_stop(&receiver);
	file_system_name(settings->directory, file_system, sizeof(file_system));
	conditions_add(&result->conditions, "file_system", "%s", file_system);
	result->method = (struct result_method){
		.sittings = (double)settings->method.sittings,
		.rounds = (double)settings->method.rounds,
		.slice_ns = (double)settings->method.slice_ns,
		.nap_us = (double)settings->nap_us,
		.against_itself = settings->against_itself,
	};
	if (settings->sender_cpu == settings->receiver_cpu)
		result_add_missing(&result->missing, "two cores",
				   "sender and receiver share one: they disturb each other");
}

static void measure_all(const struct settings *settings, struct result *result)
{
	struct run run = {settings, net_lift_descriptor_limit()};
	size_t wanted = 0;

	note_conditions(settings, result);
	table_print_conditions(result);
	for (size_t i = 0; i < scenario_count; i++)
		wanted += settings_want_scenario(settings, &scenarios[i]);
	progress_start(wanted);
	for (size_t i = 0; i < scenario_count; i++) {
		size_t before = result->scenario_count;

		if (!settings_want_scenario(settings, &scenarios[i]))
			continue;
		progress_scenario();
		run_scenario(&run, &scenarios[i], result);
		progress_clear();
		if (result->scenario_count > before)
			table_print_scenario(&result->scenarios[before]);
	}
}

static void show(const struct result *result)
{
	table_print_conditions(result);
	for (size_t i = 0; i < result->scenario_count; i++)
		table_print_scenario(&result->scenarios[i]);
}

static int compare(const char *path, const struct result *result)
{
	struct result before;
	size_t slower;
	int code = load_result(path, &before);

	if (code != EXIT_OK)
		return code;
	putchar('\n');
	slower = compare_print(&before, result);
	result_free(&before);
	return slower > 0 ? EXIT_FAILED : EXIT_OK;
}

static int conclude(const struct settings *settings, const struct result *result)
{
	int code = EXIT_OK;

	table_print_end(result);
	if (settings->json_path != NULL)
		code = save(settings->json_path, result, result_write);
	if (settings->html_path != NULL && code == EXIT_OK)
		code = save(settings->html_path, result, html_write);
	if (settings->html_path != NULL && code == EXIT_OK)
		printf("The report: %s\n", settings->html_path);
	if (settings->compare_path != NULL && code == EXIT_OK)
		code = compare(settings->compare_path, result);
	return code;
}

int main(int argc, char **argv)
{
	struct result result = {0};
	struct settings settings;
	int code = settings_parse(&settings, argc, argv);

	if (code >= 0)
		return code;
	if (settings.list)
		return list(&settings);
	if (settings.from_path != NULL) {
		code = load_result(settings.from_path, &result);
		if (code != EXIT_OK)
			return code;
		show(&result);
	} else {
		measure_all(&settings, &result);
	}
	code = conclude(&settings, &result);
	result_free(&result);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK)
		code = fail("standard output", strerror(errno));
	return code;
}
