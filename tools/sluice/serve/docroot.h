/* SPDX-License-Identifier: MIT */
/* The served directory: opens files beneath it, and nothing else. */
#ifndef SLUICE_COMMAND_SERVE_DOCROOT_H
#define SLUICE_COMMAND_SERVE_DOCROOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The directory to which a path referred at some time. Reference-counted. */
struct root {
	atomic_uint references;
	int fd;
	dev_t device;
	ino_t inode;
	bool has_openat2;  /* Linux 5.6; container runtimes of that time refuse it */
	bool has_cached;   /* RESOLVE_CACHED, Linux 5.12 */
	const char *given; /* absolute; a link's target may begin with it, or with the real path */
	char *real;        /* NULL: unknown */
};

/*
 * The served path. It may come to refer to another directory: a switched link, or a new directory.
 * Any thread.
 */
struct docroot {
	char *path; /* absolute */
	uint64_t revalidate_s;
	pthread_mutex_t lock; /* of what follows */
	struct root *current;
	uint64_t checked; /* in seconds, CLOCK_MONOTONIC */
	bool checking;
};

/* 0, or -errno: the directory cannot be opened. Probes what the kernel supports. */
int docroot_open(struct docroot *docroot, const char *directory, uint64_t revalidate_s);

/* Does nothing if it was never opened. */
void docroot_close(struct docroot *docroot);

/*
 * The directory that the path refers to, at most revalidate_s old; the last one if the path refers
 * to none. If cached, NULL means that opening it would block. Release it.
 */
struct root *docroot_get(struct docroot *docroot, bool cached);
void root_release(struct root *root);

/* Opens the path now; if that fails, the last directory remains. May block. 0 or -errno. */
int docroot_reopen(struct docroot *docroot);

/*
 * Opens a path beneath the directory for reading, without blocking on a FIFO. Symbolic links are
 * followed, relative or absolute, if they stay beneath. The descriptor, or -errno; -EXDEV or -ELOOP
 * if the path leads outside. If cached, -EAGAIN means that opening would block.
 */
int root_open_file(const struct root *root, const char *path, bool cached);

#endif
