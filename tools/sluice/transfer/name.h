/* SPDX-License-Identifier: MIT */
/* File names from a peer: which may be stored, and how they are displayed. */
#ifndef SLUICE_COMMAND_TRANSFER_NAME_H
#define SLUICE_COMMAND_TRANSFER_NAME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether the name denotes one entry of a directory: not empty, ".", or "..", no slash, no control
 * character, and, without dotfiles, no leading dot.
 */
bool name_is_safe(const char *name, size_t length, bool dotfiles);

/*
 * Whether every file system accepts the name: at most 64 ASCII letters, digits, and inner dots,
 * hyphens and underscores, and not a device of DOS.
 */
bool name_is_portable(const char *name);

/* The part after the last slash; "" if the path ends with one. */
const char *name_of_path(const char *path);

/*
 * For display on a terminal: bytes that are neither printable ASCII nor UTF-8 become \x1b and the
 * like. Truncated to the size, which is at least 8.
 */
void name_show(const char *name, char *ret_shown, size_t size);

#endif
