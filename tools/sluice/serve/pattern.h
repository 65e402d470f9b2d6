/* SPDX-License-Identifier: MIT */
/*
 * Patterns of paths, as static hosts know them: an asterisk stands for any characters, also none,
 * and ":name" for one segment. Pure.
 */
#ifndef SLUICE_COMMAND_SERVE_PATTERN_H
#define SLUICE_COMMAND_SERVE_PATTERN_H

#include "buffer.h"
#include "span.h"

#define PATTERN_PARTS_MAX 8

/* What the parts of a pattern stood for; the spans lie in the pattern and in the path. */
struct pattern_match {
	struct span names[PATTERN_PARTS_MAX];
	struct span values[PATTERN_PARTS_MAX];
	size_t count;
};

/* NULL, or what is wrong with a pattern. */
const char *pattern_check(struct span pattern);

/* Whether the whole path matches a pattern that is right. */
bool pattern_matches(struct span pattern, struct span path, struct pattern_match *ret_match);

/* Writes the text with each ":name" and ":splat" in it replaced by its escaped value. */
void pattern_replace(struct buffer *buffer, struct span text, const struct pattern_match *match);

#endif
