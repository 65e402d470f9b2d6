/* SPDX-License-Identifier: MIT */
/*
 * `sluice bench`: a separate program, so that the daemon does not load the libraries of its peers
 * (libuv, a C++ library).
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "harness/file.h"
#include "harness/net.h"
#include "peers/peers.h"
#include "progress.h"
#include "report/compare.h"
#include "report/json.h"
#include "report/page.h"
#include "report/table.h"
#include "run.h"
#include "settings.h"

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

/* Reads the whole file, to be freed; NULL with errno. */
static char *read_file(const char *path, size_t *ret_length)
{
	FILE *file = fopen(path, "re"), *to;
	char *text = NULL, part[65536];
	size_t length;
	int error;

	if (file == NULL)
		return NULL;
	to = open_memstream(&text, ret_length);
	if (to == NULL)
		err(EXIT_FAILED, "out of memory");
	while ((length = fread(part, 1, sizeof(part), file)) > 0)
		fwrite(part, 1, length, to);
	error = ferror(file) ? errno : 0;
	fclose(file);
	if (fclose(to) != 0)
		err(EXIT_FAILED, "out of memory");
	if (error) {
		free(text);
		text = NULL;
		errno = error;
	}
	return text;
}

static int load_result(const char *path, struct result *result)
{
	size_t length;
	char *text = read_file(path, &length);
	const char *error;

	if (text == NULL)
		return fail(path, strerror(errno));
	error = result_read(text, length, result);
	free(text);
	return error != NULL ? fail(path, error) : EXIT_OK;
}

/* An output file, opened before the measurement, which may take minutes. */
struct output {
	const char *path; /* NULL: none */
	int fd;
};

/* The old content remains until there is something to replace it. */
static bool output_open(struct output *output, const char *path)
{
	*output = (struct output){.path = path, .fd = -1};
	if (path == NULL)
		return true;
	output->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (output->fd < 0)
		fail(path, strerror(errno));
	return output->fd >= 0;
}

/* Whether the file accepted everything. Closes it. */
static bool output_write(struct output *output, const struct result *result,
			 void (*write)(const struct result *result, FILE *file))
{
	FILE *file;
	int failed;

	/* A pipe or a device cannot be truncated. */
	if (ftruncate(output->fd, 0) != 0 && errno != EINVAL) {
		fail(output->path, strerror(errno));
		return false;
	}
	file = fdopen(output->fd, "w");
	if (file == NULL)
		err(EXIT_FAILED, "out of memory");
	write(result, file);
	failed = ferror(file);
	if (fclose(file) == 0 && !failed)
		return true;
	fail(output->path, strerror(errno));
	return false;
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
		.sessions = (double)settings->method.sessions,
		.rounds = (double)settings->method.rounds,
		.slice_ns = (double)settings->method.slice_ns,
		.receiver_sleep_us = (double)settings->receiver_sleep_us,
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

/* Removes scenarios that this run did not request, so that they are not reported as missing. */
static void keep_wanted(const struct settings *settings, struct result *before)
{
	for (size_t i = before->scenario_count; i-- > 0;) {
		for (size_t j = 0; j < scenario_count; j++) {
			if (strcmp(scenarios[j].name, before->scenarios[i].name) != 0)
				continue;
			if (!settings_want_scenario(settings, &scenarios[j]))
				result_remove_scenario(before, i);
			break;
		}
	}
}

struct outputs {
	struct output json, html;
};

/* Opens everything that a run needs from the file system, before measuring. */
static int prepare(const struct settings *settings, struct outputs *outputs, struct result *before)
{
	bool opened = output_open(&outputs->json, settings->json_path);

	/* An interrupted run leaves no empty report that was not asked for. */
	if (!output_open(&outputs->html, settings->html_by_default ? NULL : settings->html_path) ||
	    !opened)
		return EXIT_FAILED;
	return settings->compare_path != NULL ? load_result(settings->compare_path, before)
					      : EXIT_OK;
}

/* Only a report that was asked for makes the run fail. */
static int write_report(const struct settings *settings, struct output *output,
			const struct result *result)
{
	if (settings->html_by_default && !output_open(output, settings->html_path)) {
		fprintf(stderr, "sluice: no report was written; choose a file with --html\n");
		return EXIT_OK;
	}
	if (output->path == NULL)
		return EXIT_OK;
	if (!output_write(output, result, page_write))
		return EXIT_FAILED;
	printf("The report: %s\n", settings->html_path);
	return EXIT_OK;
}

/* A failed output does not affect the other. */
static int conclude(const struct settings *settings, struct outputs *outputs,
		    const struct result *before, const struct result *result)
{
	int code = EXIT_OK;

	table_print_end(result);
	if (outputs->json.path != NULL && !output_write(&outputs->json, result, result_write))
		code = EXIT_FAILED;
	if (write_report(settings, &outputs->html, result) != EXIT_OK)
		code = EXIT_FAILED;
	if (settings->compare_path != NULL) {
		putchar('\n');
		if (!compare_print(before, result))
			code = EXIT_FAILED;
	}
	return code;
}

int main(int argc, char **argv)
{
	struct result result = {0}, before = {0};
	struct outputs outputs;
	struct settings settings;
	int code = settings_parse(&settings, argc, argv);

	if (code >= 0)
		return code;
	if (settings.list)
		return list(&settings);
	code = prepare(&settings, &outputs, &before);
	if (code == EXIT_OK && settings.from_path != NULL)
		code = load_result(settings.from_path, &result);
	if (code != EXIT_OK)
		return code;
	if (settings.from_path != NULL) {
		show(&result);
	} else {
		keep_wanted(&settings, &before);
		measure_all(&settings, &result);
	}
	code = conclude(&settings, &outputs, &before, &result);
	result_free(&before);
	result_free(&result);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK)
		code = fail("standard output", strerror(errno));
	return code;
}
