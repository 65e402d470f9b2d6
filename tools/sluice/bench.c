/* SPDX-License-Identifier: MIT */
/*
 * `sluice bench` executes a separate program, sluice-bench, so that the daemon does not load the
 * libraries of its peers (libuv, a C++ library).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define PROGRAM "sluice-bench"

/* The folder is relative to this program's own, as in a build directory or below a prefix. */
static void run_from_here(const char *folder, char **argv)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;
	size_t left;

	if (length < 0)
		return;
	path[length] = '\0';
	slash = strrchr(path, '/');
	left = (size_t)(path + sizeof path - slash);
	if ((size_t)snprintf(slash, left, "/%s" PROGRAM, folder) < left)
		execv(path, argv);
}

int bench_main(int argc, char **argv)
{
	(void)argc;
	run_from_here("", argv);
	run_from_here(SLUICE_LIBEXEC_FROM_BIN "/", argv);
	execv(SLUICE_LIBEXEC "/" PROGRAM, argv);
	fprintf(stderr, "sluice: %s: %s\n", SLUICE_LIBEXEC "/" PROGRAM, strerror(errno));
	return EXIT_FAILED;
}
