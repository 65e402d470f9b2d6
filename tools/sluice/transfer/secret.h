/* SPDX-License-Identifier: MIT */
/*
 * Secret files: a line of hexadecimal digits, 32 to 64 bytes. They must be random: anyone who
 * records a connection can try guesses on the recording. Empty lines and lines that begin with '#'
 * are comments.
 */
#ifndef SLUICE_COMMAND_TRANSFER_SECRET_H
#define SLUICE_COMMAND_TRANSFER_SECRET_H

#include <stddef.h>

#define SECRET_LEAST 32
#define SECRET_MOST 64

struct secret {
	unsigned char bytes[SECRET_MOST];
	size_t length;
};

/* EXIT_OK, or the exit code after the error was reported on the standard error. */
int secret_read(const char *command, const char *path, struct secret *ret_secret);

/* Creates a file with a random secret that only its owner can read. Result as above. */
int secret_make(const char *command, const char *path);

void secret_forget(struct secret *secret);

#endif
