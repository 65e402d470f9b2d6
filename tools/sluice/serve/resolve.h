/* SPDX-License-Identifier: MIT */
/* From a request's target to a path below the served directory: decoding and safety, pure. */
#ifndef SLUICE_COMMAND_SERVE_RESOLVE_H
#define SLUICE_COMMAND_SERVE_RESOLVE_H

#include "span.h"
#include "text.h"

#define RESOLVE_PATH_MAX 4096

/* The target's parts: "http://host/a/b?c" is "/a/b" and "?c". */
struct target {
	struct span path;
	struct span query; /* with its question mark; empty: none */
};

/* False for a target that names no path of ours ("*", "host:80"). */
bool target_split(struct span target, struct target *ret_target);

/*
 * Decodes the path once and writes it in its one plain form: it starts with a slash, has neither
 * empty nor dot segments, and ends with a slash if it was sent so (or ended in a dot). Returns 0,
 * or the status to refuse it with: 400 for a broken escape, a NUL or a control character, 403 for
 * dot-dot and (unless dotfiles) for a segment that begins with a dot, 414 for one that is too long.
 */
int resolve_path(struct span path, bool dotfiles, char ret_path[RESOLVE_PATH_MAX],
		 size_t *ret_length);

/* Writes the plain form as a URL's path again, escaped. */
void resolve_escape(struct text *text, struct span path);

#endif
