/* SPDX-License-Identifier: MIT */
/*
 * Writes text to a descriptor from its own thread, so that a full pipe, a stopped terminal or a
 * hung file system blocks only that thread. The buffer is bounded: text beyond the bound is
 * dropped, and its lines are counted.
 */
#ifndef SLUICE_COMMAND_TRANSFER_WRITER_H
#define SLUICE_COMMAND_TRANSFER_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer;

/* Reports, in the writer's thread, how many lines were dropped before the text just written. */
typedef void writer_dropped_fn(void *token, uint64_t lines);

/*
 * Starts the thread. The descriptor remains the caller's. NULL: out of memory, or no thread.
 * dropped may be NULL.
 */
struct writer *writer_start(int fd, size_t bytes_max, writer_dropped_fn *dropped, void *token);

/* Adds whole lines, all or none of them. Never blocks. Any thread. */
void writer_add(struct writer *writer, const char *text, size_t length);

/*
 * Waits until everything is written, at most for the time in milliseconds. True: the thread has
 * ended, and the descriptor may be closed. NULL is allowed.
 */
bool writer_stop(struct writer *writer, int timeout_ms);

#endif
