/* SPDX-License-Identifier: MIT */
/* Names of files that come from elsewhere: which may be stored, and how they are shown. */
#ifndef SLUICE_COMMAND_TRANSFER_NAME_H
#define SLUICE_COMMAND_TRANSFER_NAME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether it names one entry of a directory and nothing else: no slash, not empty, not "." or "..",
 * no control character; one that begins with a dot only with dotfiles.
 */
bool name_is_safe(const char *name, size_t length, bool dotfiles);

/*
 * Whether every file system takes it: ASCII letters and digits, and dots, hyphens and underscores
 * inside, not longer than 64 bytes and not a device of DOS.
 */
bool name_is_portable(const char *name);

/* What follows the last slash; "" where a path ends with one. */
const char *name_of_path(const char *path);

/*
 * For a terminal: what is neither printable ASCII nor UTF-8 becomes \x1b and the like. Cut off where
 * the room ends, which is at least 8.
 */
void name_show(const char *name, char *ret_shown, size_t room);

#endif
