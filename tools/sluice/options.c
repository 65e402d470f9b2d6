/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sluice/engine.h>
#include <sluice/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPECS_MAX 32

void options_complain(const char *command, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "sluice %s: ", command);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nTry 'sluice %s --help'.\n", command);
}

bool options_read_size(const char *text, bool units, uint64_t *ret_number)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	unsigned long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	if (*end != '\0' && units && end[1] == '\0' &&
	    (suffix = strchr(suffixes, *end & ~0x20)) != NULL && *suffix != '\0') {
		int shift = 10 * (int)(suffix - suffixes + 1);

		if (number > UINT64_MAX >> shift)
			return false;
		number <<= shift;
		end++;
	}
	*ret_number = number;
	return *end == '\0';
}

static bool read_backend(const char *text, uint64_t *ret_backend)
{
	static const struct {
		const char *name;
		uint64_t backend;
	} backends[] = {
		{"auto", SLUICE_BACKEND_AUTO},
		{"uring", SLUICE_BACKEND_URING},
		{"epoll", SLUICE_BACKEND_EPOLL},
	};

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		if (strcmp(text, backends[i].name) == 0) {
			*ret_backend = backends[i].backend;
			return true;
		}
	}
	return false;
}

static bool set_number(const struct option_table *table, const struct option_spec *spec,
		       const char *value, void *member)
{
	uint64_t number;

	if (!options_read_size(value, spec->kind == OPTION_SIZE, &number)) {
		options_complain(table->command, "--%s=%s: not a number", spec->name, value);
		return false;
	}
	if (number < spec->least || number > spec->most) {
		options_complain(table->command,
				 "--%s=%s: out of range, from %" PRIu64 " to %" PRIu64, spec->name,
				 value, spec->least, spec->most);
		return false;
	}
	memcpy(member, &number, sizeof(number));
	return true;
}

static bool set_option(const struct option_table *table, const struct option_spec *spec,
		       const char *value, void *target)
{
	char *member = (char *)target + spec->offset;
	const bool yes = true;
	uint64_t backend;

	switch (spec->kind) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
		return set_number(table, spec, value, member);
	case OPTION_FLAG:
		memcpy(member, &yes, sizeof(yes));
		return true;
	case OPTION_LOG:
		memcpy((char *)target + table->flag_offset, &yes, sizeof(yes));
		memcpy(member, &value, sizeof(value));
		return true;
	case OPTION_STRING:
		memcpy(member, &value, sizeof(value));
		return true;
	case OPTION_BACKEND:
		if (!read_backend(value, &backend)) {
			options_complain(table->command, "--%s=%s: it is auto, uring or epoll",
					 spec->name, value);
			return false;
		}
		memcpy(member, &backend, sizeof(backend));
		return true;
	}
	return false;
}

static void print_option(const struct option_spec *spec)
{
	char left[64];
	char letter[8] = "   ";

	if (spec->letter != 0)
		snprintf(letter, sizeof(letter), "-%c,", spec->letter);
	if (spec->value == NULL)
		snprintf(left, sizeof(left), "%s --%s", letter, spec->name);
	else if (spec->kind == OPTION_LOG)
		snprintf(left, sizeof(left), "%s --%s[=%s]", letter, spec->name, spec->value);
	else
		snprintf(left, sizeof(left), "%s --%s=%s", letter, spec->name, spec->value);
	printf("  %-28s %s\n", left, spec->help);
}

static void print_help(const struct option_table *table)
{
	static const struct option_spec help = {
		.name = "help", .help = "print this", .letter = 'h'};
	static const struct option_spec version = {
		.name = "version", .help = "print the version", .letter = 'V'};

	printf("Usage: sluice %s [OPTION...]%s%s\n%s\n\n", table->command,
	       table->arguments[0] != '\0' ? " " : "", table->arguments, table->summary);
	for (size_t i = 0; i < table->count; i++)
		print_option(&table->specs[i]);
	print_option(&help);
	print_option(&version);
}

static void build_getopt(const struct option_table *table, struct option *longs, char *shorts)
{
	static const struct option last[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	size_t i;

	*shorts++ = ':';
	for (i = 0; i < table->count; i++) {
		const struct option_spec *spec = &table->specs[i];
		int has_value = spec->kind == OPTION_FLAG  ? no_argument
				: spec->kind == OPTION_LOG ? optional_argument
							   : required_argument;

		longs[i] = (struct option){spec->name, has_value, NULL, (int)(256 + i)};
		if (spec->letter != 0) {
			*shorts++ = spec->letter;
			if (has_value != no_argument)
				*shorts++ = ':';
		}
	}
	memcpy(longs + i, last, sizeof(last));
	memcpy(shorts, "hV", 3);
}

static const struct option_spec *find_spec(const struct option_table *table, int found)
{
	if (found >= 256 && (size_t)(found - 256) < table->count)
		return &table->specs[found - 256];
	for (size_t i = 0; i < table->count; i++) {
		if (table->specs[i].letter != 0 && table->specs[i].letter == found)
			return &table->specs[i];
	}
	return NULL;
}

static enum options_outcome take_option(const struct option_table *table, int found, char **argv,
					void *target)
{
	const struct option_spec *spec = find_spec(table, found);

	if (spec != NULL)
		return set_option(table, spec, optarg, target) ? OPTIONS_OK : OPTIONS_WRONG;
	switch (found) {
	case 'h':
		print_help(table);
		return OPTIONS_DONE;
	case 'V':
		printf("sluice %s\n", sluice_version());
		return OPTIONS_DONE;
	case ':':
		options_complain(table->command, "%s: the value is missing", argv[optind - 1]);
		return OPTIONS_WRONG;
	default:
		options_complain(table->command, "%s: no such option", argv[optind - 1]);
		return OPTIONS_WRONG;
	}
}

enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
				   void *target, int *ret_index)
{
	struct option longs[SPECS_MAX + 3];
	char shorts[3 * SPECS_MAX];
	int found;

	build_getopt(table, longs, shorts);
	opterr = 0;
	optind = 1;
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		enum options_outcome outcome = take_option(table, found, argv, target);

		if (outcome != OPTIONS_OK)
			return outcome;
	}
	*ret_index = optind;
	return OPTIONS_OK;
}
