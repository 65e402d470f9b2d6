/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <sluice/engine.h>
#include <sluice/tls.h>
#include <sluice/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPECS_MAX 96
#define LINE_MAX_BYTES 8192 /* of a configuration file */

/* The line of the configuration file that is being read; file is NULL for the command line. */
struct place {
	const char *file;
	unsigned int line;
};

static struct place place;

/* Where each option was set, the last one first; they live as long as the process. */
static struct origin {
	struct origin *next;
	const void *option;
	struct place place;
} * origins;

__attribute__((format(printf, 3, 0))) static void report(const char *command,
							 const struct place *at, const char *format,
							 va_list arguments)
{
	if (at->file != NULL)
		fprintf(stderr, "%s:%u: ", at->file, at->line);
	else
		fprintf(stderr, "sluice %s: ", command);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	if (at->file == NULL)
		fprintf(stderr, "Try 'sluice %s --help'.\n", command);
}

/* Reports an error in the option that is being read, and its location. */
__attribute__((format(printf, 2, 3))) static void complain(const struct option_table *table,
							   const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report(table->command, &place, format, arguments);
	va_end(arguments);
}

void options_complain(const char *command, const char *format, ...)
{
	static const struct place nowhere;
	va_list arguments;

	va_start(arguments, format);
	report(command, &nowhere, format, arguments);
	va_end(arguments);
}

/* Origins */

/* Without memory the line is not known later. */
static void keep_origin(const void *option)
{
	struct origin *origin = malloc(sizeof(*origin));

	if (origin == NULL)
		return;
	*origin = (struct origin){origins, option, place};
	origins = origin;
}

static struct place place_of(const void *option)
{
	for (const struct origin *origin = origins; origin != NULL; origin = origin->next) {
		if (origin->option == option)
			return origin->place;
	}
	return (struct place){NULL, 0};
}

const char *options_place(const void *option)
{
	static _Thread_local char text[PATH_MAX + 16];
	struct place at = place_of(option);

	text[0] = '\0';
	if (at.file != NULL)
		snprintf(text, sizeof(text), "%s:%u: ", at.file, at.line);
	return text;
}

void options_complain_of(const char *command, const void *option, const char *format, ...)
{
	struct place at = place_of(option);
	va_list arguments;

	va_start(arguments, format);
	report(command, &at, format, arguments);
	va_end(arguments);
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

/* Values with names. */
#define CHOICES 3

struct choice {
	const char *name;
	uint64_t value;
};

static const struct choice backends[CHOICES] = {
	{"auto", SLUICE_BACKEND_AUTO},
	{"uring", SLUICE_BACKEND_URING},
	{"epoll", SLUICE_BACKEND_EPOLL},
};

static const struct choice ways[CHOICES] = {
	{"auto", SLUICE_TLS_WAY_AUTO},
	{"kernel", SLUICE_TLS_WAY_KERNEL},
	{"library", SLUICE_TLS_WAY_LIBRARY},
};

static bool set_choice(const struct option_table *table, const struct option_spec *spec,
		       const struct choice choices[CHOICES], const char *value, void *member)
{
	for (size_t i = 0; i < CHOICES; i++) {
		if (strcmp(value, choices[i].name) == 0) {
			memcpy(member, &choices[i].value, sizeof(choices[i].value));
			return true;
		}
	}
	complain(table, "--%s=%s: not %s, %s or %s", spec->name, value, choices[0].name,
		 choices[1].name, choices[2].name);
	return false;
}

static bool set_number(const struct option_table *table, const struct option_spec *spec,
		       const char *value, void *member)
{
	uint64_t number;

	if (!options_read_size(value, spec->kind == OPTION_SIZE, &number)) {
		complain(table, "--%s=%s: not a number", spec->name, value);
		return false;
	}
	if (number < spec->least || number > spec->most) {
		complain(table, "--%s=%s: out of range: from %" PRIu64 " to %" PRIu64, spec->name,
			 value, spec->least, spec->most);
		return false;
	}
	memcpy(member, &number, sizeof(number));
	return true;
}

static bool add_to_list(const struct option_table *table, struct option_list *list,
			const char *value)
{
	const char **larger;

	if (list->from_file && place.file == NULL) {
		list->count = 0;
		list->from_file = false;
	}
	larger = reallocarray(list->values, list->count + 1, sizeof(*list->values));
	if (larger == NULL) {
		complain(table, "%s", strerror(ENOMEM));
		return false;
	}
	list->values = larger;
	list->values[list->count++] = value;
	list->from_file |= place.file != NULL;
	return true;
}

static bool set_option(const struct option_table *table, const struct option_spec *spec,
		       const char *value, void *target)
{
	char *member = (char *)target + spec->offset;
	const bool yes = true;

	keep_origin(member);
	if (value != NULL)
		keep_origin(value);
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
	case OPTION_CONFIG:
		memcpy(member, &value, sizeof(value));
		return true;
	case OPTION_LIST:
		return add_to_list(table, (struct option_list *)(void *)member, value);
	case OPTION_BACKEND:
		return set_choice(table, spec, backends, value, member);
	case OPTION_TLS_WAY:
		return set_choice(table, spec, ways, value, member);
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
		.name = "help", .help = "print this help", .letter = 'h'};
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

/* Names */

/* The edit distance of two names. */
static size_t name_distance(const char *a, const char *b)
{
	size_t row[64], length = strlen(b);

	if (length >= 64)
		return length;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[length];
}

/* The option that was probably meant; NULL: none is similar. */
static const char *nearest_name(const struct option_table *table, const char *name)
{
	const char *nearest = NULL;
	size_t best = 2 + strlen(name) / 4;

	for (size_t i = 0; i < table->count; i++) {
		size_t distance = name_distance(name, table->specs[i].name);

		if (distance < best) {
			best = distance;
			nearest = table->specs[i].name;
		}
	}
	return nearest;
}

/* given is the option as written: "--prot=80", "-x". */
static void complain_unknown(const struct option_table *table, const char *given)
{
	const char *start = given + strspn(given, "-"), *nearest;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(start, "=") % 64, start);
	nearest = strlen(name) > 1 ? nearest_name(table, name) : NULL;
	if (nearest != NULL)
		complain(table, "%s: no such option; did you mean --%s?", given, nearest);
	else
		complain(table, "%s: no such option", given);
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
		complain(table, "%s: missing value", argv[optind - 1]);
		return OPTIONS_WRONG;
	default:
		complain_unknown(table, argv[optind - 1]);
		return OPTIONS_WRONG;
	}
}

/* The configuration file */

static const struct option_spec *spec_of_name(const struct option_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->specs[i].name, name) == 0)
			return &table->specs[i];
	}
	return NULL;
}

/* Cuts a line into a name and a value, which is NULL if there is none. */
static char *split_line(char *line, char **ret_value)
{
	char *name = line + strspn(line, " \t"), *end = name + strlen(name);

	while (end > name && strchr(" \t\r\n", end[-1]) != NULL)
		*--end = '\0';
	if (strncmp(name, "--", 2) == 0)
		name += 2;
	end = name + strcspn(name, "= \t");
	*ret_value = NULL;
	if (*end != '\0') {
		*ret_value = end + strspn(end, " \t");
		if (**ret_value == '=')
			*ret_value += 1 + strspn(*ret_value + 1, " \t");
		*end = '\0';
	}
	return name;
}

/* A copy that lives as long as the process, like the command line; NULL: out of memory. */
static char *keep_value(const char *value)
{
	static struct kept {
		struct kept *next;
		char value[];
	} * first;
	struct kept *kept = malloc(sizeof(*kept) + strlen(value) + 1);

	if (kept == NULL)
		return NULL;
	kept->next = first;
	first = kept;
	return strcpy(kept->value, value);
}

static bool read_line(const struct option_table *table, char *line, void *target)
{
	const struct option_spec *spec;
	char *name, *value, *kept = NULL;

	name = split_line(line, &value);
	if (name[0] == '\0' || name[0] == '#')
		return true;
	spec = spec_of_name(table, name);
	if (spec == NULL) {
		complain_unknown(table, name);
		return false;
	}
	if (spec->kind == OPTION_CONFIG) {
		complain(table, "%s: allowed on the command line only", name);
		return false;
	}
	if (value == NULL && spec->kind != OPTION_FLAG && spec->kind != OPTION_LOG) {
		complain(table, "%s: missing value", name);
		return false;
	}
	if (value != NULL && spec->kind == OPTION_FLAG) {
		complain(table, "%s: takes no value", name);
		return false;
	}
	if (value != NULL && (kept = keep_value(value)) == NULL)
		return false;
	return set_option(table, spec, kept, target);
}

/* Reports all invalid lines, not only the first. */
static enum options_outcome read_config(const struct option_table *table, const char *path,
					void *target)
{
	enum options_outcome outcome = OPTIONS_OK;
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		complain(table, "--config=%s: %s", path, strerror(errno));
		return OPTIONS_WRONG;
	}
	place.file = path;
	for (place.line = 1; fgets(line, sizeof(line), file) != NULL; place.line++) {
		if (strlen(line) == sizeof(line) - 1) {
			complain(table, "line too long");
			outcome = OPTIONS_WRONG;
			break;
		}
		if (!read_line(table, line, target))
			outcome = OPTIONS_WRONG;
	}
	place.file = NULL;
	if (ferror(file)) {
		complain(table, "--config=%s: %s", path, strerror(errno));
		outcome = OPTIONS_WRONG;
	}
	fclose(file);
	return outcome;
}

/* The last configuration file on the command line; NULL: none. */
static const char *find_config(const struct option_table *table, int argc, char **argv,
			       const struct option *longs, const char *shorts)
{
	const char *config = NULL;
	int found;

	optind = 1;
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_spec *spec = find_spec(table, found);

		if (spec != NULL && spec->kind == OPTION_CONFIG)
			config = optarg;
	}
	return config;
}

enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
				   void *target, int *ret_index)
{
	struct option longs[SPECS_MAX + 3];
	char shorts[3 * SPECS_MAX];
	const char *config;
	int found;

	build_getopt(table, longs, shorts);
	opterr = 0;
	config = find_config(table, argc, argv, longs, shorts);
	if (config != NULL && read_config(table, config, target) != OPTIONS_OK)
		return OPTIONS_WRONG;
	optind = 1;
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		enum options_outcome outcome = take_option(table, found, argv, target);

		if (outcome != OPTIONS_OK)
			return outcome;
	}
	*ret_index = optind;
	return OPTIONS_OK;
}
