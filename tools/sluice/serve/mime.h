/* SPDX-License-Identifier: MIT */
/* Media types by the extension of a file's name: the system's table, or a small one of our own. */
#ifndef SLUICE_COMMAND_SERVE_MIME_H
#define SLUICE_COMMAND_SERVE_MIME_H

#include "span.h"

struct mime;

/*
 * Reads a table in the format of /etc/mime.types; without the file only our own. Before both come
 * the extras, "EXT=TYPE" each, which are valid. Text is said to be in the charset, unless that is
 * empty. What is given has to live as long as the table. NULL: no memory.
 */
struct mime *mime_load(const char *file, const char *const *extras, size_t count,
		       const char *charset);

/* Whether this can be an extra, or a charset. */
bool mime_is_valid(const char *extra);
bool mime_is_valid_charset(const char *charset);
void mime_free(struct mime *mime);

/* What the headers of a file say; the spans live as long as the table. */
struct media {
	struct span type;
	struct span charset;  /* at NULL: not said */
	struct span encoding; /* at NULL: the content is not encoded */
};

/*
 * What a path's extension says. An extension that names a type together with its compression gets
 * the encoding: a browser shows an .svgz only then. Any thread.
 */
struct media mime_media(const struct mime *mime, struct span path);

#endif
