/* SPDX-License-Identifier: MIT */
/*
 * Messages that peers can cause, on the standard error: LOG_BURST at once, then LOG_PER_SECOND;
 * others are counted, and their number is printed with the next message.
 */
#ifndef SLUICE_COMMAND_TRANSFER_LOG_H
#define SLUICE_COMMAND_TRANSFER_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_BURST 20
#define LOG_PER_SECOND 1

struct log_limit {
	uint64_t full_ns; /* when the whole burst is available again */
	uint64_t suppressed;
};

/* Whether a message may be printed now, and how many were suppressed before it. No system call. */
bool log_limit_take(struct log_limit *limit, uint64_t now_ns, uint64_t *ret_suppressed);

/* Prints "COMMAND: message" and a newline, within the limit. */
void log_message(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints how many were suppressed since the last one. */
void log_end(const char *command);

#endif
