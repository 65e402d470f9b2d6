/* SPDX-License-Identifier: MIT */
/* A piece of text that is neither owned nor terminated. */
#ifndef SLUICE_COMMAND_SPAN_H
#define SLUICE_COMMAND_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *at; /* NULL: absent */
	size_t length;
};

/* The span of a string literal, or of a terminated string. */
static inline struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static inline bool span_equals(struct span span, struct span other)
{
	return span.length == other.length && memcmp(span.at, other.at, span.length) == 0;
}

/* Equal, ignoring the case of ASCII letters. */
static inline bool span_matches(struct span span, struct span other)
{
	return span.length == other.length && strncasecmp(span.at, other.at, span.length) == 0;
}

static inline struct span span_from(struct span span, size_t skipped)
{
	return (struct span){span.at + skipped, span.length - skipped};
}

/* Without leading and trailing blanks and tabs, the optional white space of HTTP. */
static inline struct span span_trim(struct span span)
{
	while (span.length > 0 && (span.at[0] == ' ' || span.at[0] == '\t'))
		span = span_from(span, 1);
	while (span.length > 0 &&
	       (span.at[span.length - 1] == ' ' || span.at[span.length - 1] == '\t'))
		span.length--;
	return span;
}

#endif
