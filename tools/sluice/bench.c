/* SPDX-License-Identifier: MIT */
/*
 * `sluice bench` is a program of its own, sluice-bench: what its peers need (libuv, a C++ library)
 * is not for the daemon to load.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define PROGRAM "sluice-bench"

/* Beside this program, as in a build directory, or where it is installed. */
static void run_beside(char **argv)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(PROGRAM));
	char *slash;

	if (length < 0)
		return;
	path[length] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash + 1, PROGRAM);
	execv(path, argv);
}

int bench_main(int argc, char **argv)
{
	(void)argc;
	run_beside(argv);
	execv(SLUICE_LIBEXEC "/" PROGRAM, argv);
	fprintf(stderr, "sluice: %s: %s\n", SLUICE_LIBEXEC "/" PROGRAM, strerror(errno));
	return EXIT_FAILED;
}
