/* SPDX-License-Identifier: MIT */
/*
 * Output of the running daemon. Once started, no caller blocks on the terminal or the pipe;
 * messages beyond a limit are dropped.
 */
#ifndef SLUICE_COMMAND_MESSAGES_H
#define SLUICE_COMMAND_MESSAGES_H

/* Starts the threads that print; before, messages are printed directly. */
void messages_start(void);

/* Waits for the remaining output, with a time limit. */
void messages_stop(void);

/* Print one line to the standard output, or after "sluice: " to the standard error. Any thread. */
void messages_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void messages_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same after the place of the error, "FILE:LINE: "; if that is empty, after "sluice: ". */
void messages_complain_at(const char *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
