/* SPDX-License-Identifier: MIT */
/* Options from a table: one line each defines how an option is parsed, limited and explained. */
#ifndef SLUICE_COMMAND_OPTIONS_H
#define SLUICE_COMMAND_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,    /* bool */
	OPTION_NUMBER,  /* uint64_t */
	OPTION_SIZE,    /* uint64_t; K, M and G multiply by 1,024 and so on */
	OPTION_STRING,  /* const char * */
	OPTION_BACKEND, /* uint64_t: SLUICE_BACKEND_* */
	OPTION_TLS_WAY, /* uint64_t: SLUICE_TLS_WAY_* */
	OPTION_LOG,     /* const char *, and before it a bool that is set; the value is optional */
	OPTION_LIST,    /* struct option_list: may be given several times */
	OPTION_CONFIG,  /* const char *: a file of options; those of the command line override it */
};

/* The values of an option, in order; they live as long as the process. */
struct option_list {
	const char **values;
	size_t count;
	bool from_file; /* from the configuration file: values of the command line replace them */
};

struct option_spec {
	const char *name;
	const char *value; /* placeholder of the value in the help; NULL for a flag */
	const char *help;
	size_t offset; /* of the member in the target structure */
	uint64_t least;
	uint64_t most;
	enum option_kind kind;
	char letter; /* or 0 */
};

struct option_table {
	const char *command;   /* "serve" */
	const char *arguments; /* "[DIRECTORY]" */
	const char *summary;
	const struct option_spec *specs;
	size_t count;
	size_t flag_offset; /* of the bool that belongs to OPTION_LOG */
};

enum options_outcome {
	OPTIONS_OK,
	OPTIONS_DONE,  /* help or the version was printed */
	OPTIONS_WRONG, /* an error was reported */
};

/* Fills in target; ret_index is the first argument that is not an option. */
enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
				   void *target, int *ret_index);

/*
 * The line of the configuration file that set an option, as "FILE:LINE: "; "" if it is not from a
 * file. The option is given by its value, if that is a text, or by its member in the target structure.
 * The result is valid until the next call of this thread.
 */
const char *options_place(const void *option);

/* Reports an error in such an option, and its line or else the help. */
void options_complain_of(const char *command, const void *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Reports an error in the command line and refers to the help. */
void options_complain(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "512", "16K", "1M" */
bool options_read_size(const char *text, bool units, uint64_t *ret_number);

#endif
