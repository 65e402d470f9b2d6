/* SPDX-License-Identifier: MIT */
/* Conditional requests (RFC 9110, 13): pure comparisons of validators. */
#ifndef SLUICE_COMMAND_SERVE_CONDITIONAL_H
#define SLUICE_COMMAND_SERVE_CONDITIONAL_H

#include <stdint.h>

#include "span.h"

/*
 * The headers of a request; a span with at NULL is absent. The two lists may have several lines:
 * their spans extend from the first value to the end of the last, including other headers in
 * between.
 */
struct conditions {
	struct span if_match;
	struct span if_none_match;
	struct span if_modified_since;
	struct span if_unmodified_since;
	struct span if_range;
};

/* The validators of a file. Times are seconds since 1970. */
struct validators {
	struct span etag; /* strong, with its quotes */
	bool dated;       /* the date is reliable */
	int64_t modified; /* which is sent as Last-Modified */
	int64_t changed;  /* when the file last changed in any way, for example by a rename */
};

enum verdict {
	VERDICT_SEND,
	VERDICT_NOT_MODIFIED,        /* 304 */
	VERDICT_PRECONDITION_FAILED, /* 412 */
};

/*
 * The result for a GET or HEAD, in the order of precedence of RFC 9110, 13.2.2. Dates are ignored
 * for a file that has none.
 */
enum verdict conditions_judge(const struct conditions *conditions,
			      const struct validators *validators, int64_t now);

/* Whether a Range header applies: there is no If-Range, or it matches. */
bool conditions_allow_range(const struct conditions *conditions,
			    const struct validators *validators, int64_t now);

#endif
