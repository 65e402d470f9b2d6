/* SPDX-License-Identifier: MIT */
#include "serve/pattern.h"

#include "serve/escape.h"

static bool is_name_character(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
	       (character >= '0' && character <= '9') || character == '_';
}

/* The name after the colon; empty if it is not a placeholder. */
static struct span name_of(struct span text)
{
	struct span name = {text.at + 1, 0};

	if (text.length == 0 || text.at[0] != ':' || text.length == 1 ||
	    (text.at[1] >= '0' && text.at[1] <= '9'))
		return name;
	while (name.length + 1 < text.length && is_name_character(name.at[name.length]))
		name.length++;
	return name;
}

const char *pattern_check(struct span pattern)
{
	size_t parts = 0, splats = 0;

	if (pattern.length == 0 || pattern.at[0] != '/')
		return "a pattern must begin with a slash";
	while (pattern.length > 0) {
		struct span name = name_of(pattern);

		splats += pattern.at[0] == '*';
		parts += pattern.at[0] == '*' || name.length > 0;
		pattern = span_from(pattern, name.length > 0 ? name.length + 1 : 1);
	}
	if (splats > 1)
		return "a pattern may have only one asterisk";
	return parts > PATTERN_PARTS_MAX ? "too many placeholders" : NULL;
}

static void add_part(struct pattern_match *match, struct span name, struct span value)
{
	if (match->count == PATTERN_PARTS_MAX)
		return;
	match->names[match->count] = name;
	match->values[match->count++] = value;
}

/* Matches a piece without asterisk; the matched part of the path, or false. */
static bool match_plain(struct span *pattern, struct span *path, struct pattern_match *match)
{
	while (pattern->length > 0 && pattern->at[0] != '*') {
		struct span name = name_of(*pattern), value = {path->at, 0};

		if (name.length == 0) {
			if (path->length == 0 || path->at[0] != pattern->at[0])
				return false;
			*pattern = span_from(*pattern, 1);
			*path = span_from(*path, 1);
			continue;
		}
		while (value.length < path->length && value.at[value.length] != '/')
			value.length++;
		if (value.length == 0)
			return false;
		add_part(match, name, value);
		*pattern = span_from(*pattern, name.length + 1);
		*path = span_from(*path, value.length);
	}
	return true;
}

bool pattern_matches(struct span pattern, struct span path, struct pattern_match *ret_match)
{
	size_t before;

	ret_match->count = 0;
	if (!match_plain(&pattern, &path, ret_match))
		return false;
	if (pattern.length == 0)
		return path.length == 0;
	pattern = span_from(pattern, 1);
	before = ret_match->count;
	/* The shortest match that lets the rest match; there is only one asterisk. */
	for (size_t taken = pattern.length == 0 ? path.length : 0; taken <= path.length; taken++) {
		struct span rest = span_from(path, taken), left = pattern;

		ret_match->count = before;
		if (match_plain(&left, &rest, ret_match) && left.length == 0 && rest.length == 0) {
			add_part(ret_match, span_of("splat"), (struct span){path.at, taken});
			return true;
		}
	}
	return false;
}

static const struct span *value_of(const struct pattern_match *match, struct span name)
{
	for (size_t i = 0; i < match->count; i++) {
		if (span_equals(match->names[i], name))
			return &match->values[i];
	}
	return NULL;
}

void pattern_replace(struct buffer *buffer, struct span text, const struct pattern_match *match)
{
	while (text.length > 0) {
		struct span name = name_of(text);
		const struct span *value = name.length > 0 ? value_of(match, name) : NULL;

		if (value != NULL)
			escape_url(buffer, *value);
		else
			buffer_add_character(buffer, text.at[0]);
		text = span_from(text, value != NULL ? name.length + 1 : 1);
	}
}
