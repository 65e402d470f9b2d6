/* SPDX-License-Identifier: MIT */
/*
 * Files of secrets: a line of hexadecimal digits, 32 to 64 bytes, which has to be random: whoever
 * records a connection can try guesses at it afterwards. Empty lines and lines that begin with '#' are
 * comments.
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

/* EXIT_OK, or the exit code, and it was said on the standard error what is wrong with the file. */
int secret_read(const char *command, const char *path, struct secret *ret_secret);

/* A new file with a random secret, that only its owner can read. As above. */
int secret_make(const char *command, const char *path);

void secret_forget(struct secret *secret);

#endif
