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

/* In a folder that is named from this program's own, as in a build directory or below a prefix. */
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
