/* SPDX-License-Identifier: MIT */
/*
 * What the daemon prints while it runs. Once started, nothing that prints waits for the terminal or
 * the pipe; a line too many is dropped.
 */
#ifndef SLUICE_COMMAND_MESSAGES_H
#define SLUICE_COMMAND_MESSAGES_H

/* Starts the threads that print; without them messages are printed directly. */
void messages_start(void);

/* Waits for what is still to be printed, but not long. */
void messages_stop(void);

/* One line to the standard output, or behind "sluice: " to the standard error. Any thread. */
void messages_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void messages_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
