/* SPDX-License-Identifier: MIT */
/* Media types by file name extension: the system's table, or a small built-in one. */
#ifndef SLUICE_COMMAND_SERVE_MIME_H
#define SLUICE_COMMAND_SERVE_MIME_H

#include "span.h"

struct mime;

/*
 * Reads a table in the format of /etc/mime.types; without the file, only the built-in one is used.
 * The extras, valid "EXT=TYPE" each, override both. Text gets the charset, unless that is empty.
 * The arguments must live as long as the table. NULL: out of memory.
 */
struct mime *mime_load(const char *file, const char *const *extras, size_t count,
		       const char *charset);

/* Whether this is a valid extra, or charset. */
bool mime_is_valid(const char *extra);
bool mime_is_valid_charset(const char *charset);
void mime_free(struct mime *mime);

/* The media headers of a file; the spans are valid as long as the table. */
struct media {
	struct span type;
	struct span charset;  /* at NULL: not sent */
	struct span encoding; /* at NULL: not encoded */
};

/*
 * The type for a path's extension. An extension that implies compression also sets the encoding:
 * browsers display an .svgz only then. Any thread.
 */
struct media mime_media(const struct mime *mime, struct span path);

#endif
