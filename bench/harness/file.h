/* SPDX-License-Identifier: MIT */
/* Files to send. */
#ifndef BENCH_HARNESS_FILE_H
#define BENCH_HARNESS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Creates a file of that size in the directory, in the page cache and written back, so that no
 * writeback disturbs the measurement. It has no name. Its descriptor, or -errno.
 */
int file_make(const char *directory, uint64_t bytes);

/* Drops the file from the page cache; whether it stays there nevertheless, as on tmpfs. */
bool file_stays_hot(const char *directory, int fd);

/* What kind of file system the directory is on: "ext4", or a number. */
void file_system_name(const char *directory, char *name, size_t size);

#endif
