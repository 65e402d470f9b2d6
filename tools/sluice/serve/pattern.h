/* SPDX-License-Identifier: MIT */
/*
 * Path patterns of static hosts: an asterisk matches any characters, also none, and ":name" one
 * segment. Pure.
 */
#ifndef SLUICE_COMMAND_SERVE_PATTERN_H
#define SLUICE_COMMAND_SERVE_PATTERN_H

#include "buffer.h"
#include "span.h"

#define PATTERN_PARTS_MAX 8

/* The matches of the parts of a pattern; the spans point into the pattern and the path. */
struct pattern_match {
	struct span names[PATTERN_PARTS_MAX];
	struct span values[PATTERN_PARTS_MAX];
	size_t count;
};

/* NULL, or the reason why a pattern is invalid. */
const char *pattern_check(struct span pattern);

/* Whether the whole path matches a valid pattern. */
bool pattern_matches(struct span pattern, struct span path, struct pattern_match *ret_match);

/* Writes the text, replacing each ":name" and ":splat" by its escaped value. */
void pattern_replace(struct buffer *buffer, struct span text, const struct pattern_match *match);

#endif
