/* SPDX-License-Identifier: MIT */
/* The options of `sluice serve`: their table, and what depends on them alone. */
#ifndef SLUICE_COMMAND_SERVE_SETUP_H
#define SLUICE_COMMAND_SERVE_SETUP_H

#include "serve/worker.h"

#define WORKERS_MAX 256

#define SETUP_DONE (-1) /* not an exit code: help was printed */

/* Parses the options; an exit code, or SETUP_DONE. */
int setup_read_arguments(struct serve_options *options, int argc, char **argv);

/* The first of two exit codes that is not EXIT_OK: later errors are reported, too. */
int setup_first(int code, int next);

/* Checks options, and sets the configuration for file lookups and types. An exit code. */
int setup_server(struct server *server);

/* Reports an error, with advice that may be empty; what may be an option's value. EXIT_FAILED. */
int setup_fail(const char *what, int error, const char *advice);

#endif
