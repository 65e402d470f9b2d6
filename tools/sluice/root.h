/* SPDX-License-Identifier: MIT */
/* The served directory: opens what lies beneath it, and nothing else. */
#ifndef SLUICE_COMMAND_ROOT_H
#define SLUICE_COMMAND_ROOT_H

#include <stdbool.h>

struct root {
	int fd;
	bool has_openat2; /* Linux 5.6; container runtimes of that time refuse it */
	bool has_cached;  /* RESOLVE_CACHED, Linux 5.12 */
};

/* 0, or -errno: the directory cannot be opened. Tries what the kernel has. */
int root_open(struct root *root, const char *directory);
void root_close(struct root *root);

/*
 * Opens a path beneath the directory for reading, without waiting for a FIFO's other end; symbolic
 * links are followed as long as they stay beneath (without openat2: not at all). The descriptor,
 * or -errno; -EXDEV or -ELOOP for what leads out. Where cached, -EAGAIN means that the answer would
 * have to wait for a disk.
 */
int root_open_file(const struct root *root, const char *path, bool cached);

#endif
