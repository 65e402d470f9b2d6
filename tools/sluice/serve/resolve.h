/* SPDX-License-Identifier: MIT */
/* Converts a request's target to a path beneath the served directory: decoding and safety, pure. */
#ifndef SLUICE_COMMAND_SERVE_RESOLVE_H
#define SLUICE_COMMAND_SERVE_RESOLVE_H

#include "span.h"
#include "text.h"

#define RESOLVE_PATH_MAX 4096

/* Splits the target: "http://host/a/b?c" is "/a/b" and "?c". */
struct target {
	struct span path;
	struct span query; /* including its question mark; empty: none */
};

/* False for a target without a path ("*", "host:80"). */
bool target_split(struct span target, struct target *ret_target);

/*
 * Decodes the path once and writes its plain form: it starts with a slash, has neither empty nor
 * dot segments, and ends with a slash if the original does (or ends in a dot). Returns 0, or the
 * status to refuse it with: 400 for an invalid escape, a NUL or a control character, 403 for
 * dot-dot and (unless dotfiles) for a segment that begins with a dot, 414 for one that is too long.
 */
int resolve_path(struct span path, bool dotfiles, char ret_path[RESOLVE_PATH_MAX],
		 size_t *ret_length);

/* Writes the plain form as an escaped URL path. */
void resolve_escape(struct text *text, struct span path);

#endif
