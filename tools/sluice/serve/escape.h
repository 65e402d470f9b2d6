/* SPDX-License-Identifier: MIT */
/* Escapes file names for HTML, JSON and URLs; pure. Bytes that are not UTF-8 become U+FFFD. */
#ifndef SLUICE_COMMAND_SERVE_ESCAPE_H
#define SLUICE_COMMAND_SERVE_ESCAPE_H

#include "buffer.h"
#include "span.h"

/* For the text of an element, or an attribute in double quotes. */
void escape_html(struct buffer *buffer, struct span text);

/* For the inside of a string. */
void escape_json(struct buffer *buffer, struct span text);

/* As a path relative to its directory; safe inside HTML. */
void escape_url(struct buffer *buffer, struct span path);

#endif
