/* SPDX-License-Identifier: MIT */
/* The command: finds the subcommand and runs it. */
#include <sluice/version.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"serve", "serve the files of a directory over HTTP", serve_main},
	{"send", "send files to a 'sluice receive'", send_main},
	{"receive", "store files that 'sluice send' sends", receive_main},
	{"probe", "show what this kernel supports and what sluice uses", probe_main},
	{"bench", "compare sluice with other ways to send", bench_main},
};

static int print_help(void)
{
	printf("Usage: sluice COMMAND [OPTION...] [ARGUMENT...]\n"
	       "Serves and transfers files through io_uring.\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	printf("\n'sluice COMMAND --help' prints the options of a command, "
	       "'sluice --version' the version.\n");
	return EXIT_OK;
}

static int usage_error(const char *what, const char *name)
{
	fprintf(stderr, "sluice: %s%s\nTry 'sluice --help'.\n", name, what);
	return EXIT_USAGE;
}

/* Output that could not be written is a failure: a full disk, a closed pipe. */
static int finish(int code)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("sluice: standard output");
		return code == EXIT_OK ? EXIT_FAILED : code;
	}
	return code;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (argc < 2)
		return usage_error("missing COMMAND", "");
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return finish(print_help());
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("sluice %s\n", sluice_version());
		return finish(EXIT_OK);
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(name, commands[i].name) == 0)
			return finish(commands[i].run(argc - 1, argv + 1));
	}
	return usage_error(name[0] == '-' ? ": no such option" : ": no such command", name);
}
