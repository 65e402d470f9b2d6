/* SPDX-License-Identifier: MIT */
/* Media types by the extension of a file's name: the system's table, or a small one of our own. */
#ifndef SLUICE_COMMAND_MIME_H
#define SLUICE_COMMAND_MIME_H

#include "span.h"

struct mime;

/* Reads a table in the format of /etc/mime.types; without the file only our own. NULL: no memory. */
struct mime *mime_load(const char *file);
void mime_free(struct mime *mime);

/* The type of a path; it lives as long as the table. Any thread. */
struct span mime_type(const struct mime *mime, struct span path);

#endif
