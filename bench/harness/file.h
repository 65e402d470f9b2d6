/* SPDX-License-Identifier: MIT */
/* Files to send. */
#ifndef BENCH_HARNESS_FILE_H
#define BENCH_HARNESS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Makes a file of that size in the directory, in the page cache and on the disk, so that no writing
 * back disturbs later. It has no name. Its descriptor, or -errno.
 */
int file_make(const char *directory, uint64_t bytes);

/* Puts the file out of memory; whether it stays there, as on tmpfs, all the same. */
bool file_stays_hot(const char *directory, int fd);

/* What kind of file system the directory is on: "ext4", or a number. */
void file_system_name(const char *directory, char *name, size_t size);

#endif
