/* SPDX-License-Identifier: MIT */
/* Media types by the extension of a file's name: the system's table, or a small one of our own. */
#ifndef SLUICE_COMMAND_SERVE_MIME_H
#define SLUICE_COMMAND_SERVE_MIME_H

#include "span.h"

struct mime;

/* Reads a table in the format of /etc/mime.types; without the file only our own. NULL: no memory. */
struct mime *mime_load(const char *file);
void mime_free(struct mime *mime);

/* What the headers of a file say; the spans live as long as the table. */
struct media {
	struct span type;
	struct span charset;  /* at NULL: not said */
	struct span encoding; /* at NULL: the content is not encoded */
};

/*
 * What a path's extension says. Text that cannot name its own encoding is UTF-8; HTML, CSS, scripts
 * and XML can, or inherit it, and a header would overrule them. An extension that names a type
 * together with its compression gets the encoding: a browser shows an .svgz only then. Any thread.
 */
struct media mime_media(const struct mime *mime, struct span path);

#endif
