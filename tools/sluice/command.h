/* SPDX-License-Identifier: MIT */
/* The subcommands. Each gets its own name as its first argument and returns the exit code. */
#ifndef SLUICE_COMMAND_COMMAND_H
#define SLUICE_COMMAND_COMMAND_H

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

int serve_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int send_main(int argc, char **argv);
int receive_main(int argc, char **argv);
int bench_main(int argc, char **argv);

#endif
