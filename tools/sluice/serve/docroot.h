/* SPDX-License-Identifier: MIT */
/* The served directory: opens what lies beneath it, and nothing else. */
#ifndef SLUICE_COMMAND_SERVE_DOCROOT_H
#define SLUICE_COMMAND_SERVE_DOCROOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The directory that a path named at some time. Shared by whoever holds a reference. */
struct root {
	atomic_uint references;
	int fd;
	dev_t device;
	ino_t inode;
	bool has_openat2;  /* Linux 5.6; container runtimes of that time refuse it */
	bool has_cached;   /* RESOLVE_CACHED, Linux 5.12 */
	const char *given; /* absolute; a link's target may begin with it, or with the real path */
	char *real;        /* NULL: not known */
};

/*
 * The path that is served. It may come to name another directory: a link that is switched, or a
 * directory that is made anew. Any thread.
 */
struct docroot {
	char *path; /* absolute */
	uint64_t revalidate_s;
	pthread_mutex_t lock; /* of what follows */
	struct root *current;
	uint64_t checked; /* seconds of the monotonic clock */
	bool checking;
};

/* 0, or -errno: the directory cannot be opened. Tries what the kernel has. */
int docroot_open(struct docroot *docroot, const char *directory, uint64_t revalidate_s);

/* Does nothing if it was never opened. */
void docroot_close(struct docroot *docroot);

/*
 * The directory that the path names, or named no longer ago than revalidate_s; the last one as long
 * as it names none. If cached, NULL means that looking would have to wait for a disk. Release it.
 */
struct root *docroot_get(struct docroot *docroot, bool cached);
void root_release(struct root *root);

/* Opens the path now; the last directory stays if that fails. May wait for a disk. 0 or -errno. */
int docroot_reopen(struct docroot *docroot);

/*
 * Opens a path beneath the directory for reading, without waiting for a FIFO's other end. Symbolic
 * links are followed, relative or absolute, as long as they stay beneath. The descriptor, or
 * -errno; -EXDEV or -ELOOP for what leads out. If cached, -EAGAIN means that the answer would have
 * to wait for a disk.
 */
int root_open_file(const struct root *root, const char *path, bool cached);

#endif
