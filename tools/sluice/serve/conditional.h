/* SPDX-License-Identifier: MIT */
/* Conditional requests (RFC 9110, 13): pure comparisons of validators. */
#ifndef SLUICE_COMMAND_SERVE_CONDITIONAL_H
#define SLUICE_COMMAND_SERVE_CONDITIONAL_H

#include <stdint.h>

#include "span.h"

/*
 * The headers of a request; a span whose at is NULL was not sent. The two lists may have several
 * lines: their spans reach from the first value to the end of the last, other headers between them
 * included.
 */
struct conditions {
	struct span if_match;
	struct span if_none_match;
	struct span if_modified_since;
	struct span if_unmodified_since;
	struct span if_range;
};

/* What a file has to show. Times are seconds since 1970. */
struct validators {
	struct span etag; /* strong, with its quotes */
	bool dated;       /* there is a date that can be trusted */
	int64_t modified; /* which is sent as Last-Modified */
	int64_t changed;  /* when the file last became what it is, for example by a rename */
};

enum verdict {
	VERDICT_SEND,
	VERDICT_NOT_MODIFIED,        /* 304 */
	VERDICT_PRECONDITION_FAILED, /* 412 */
};

/*
 * The verdict on a GET or HEAD, in the order of precedence of RFC 9110, 13.2.2. Dates are ignored
 * for a file that has none.
 */
enum verdict conditions_judge(const struct conditions *conditions,
			      const struct validators *validators, int64_t now);

/* Whether a Range header counts: there is no If-Range, or it names what we have. */
bool conditions_allow_range(const struct conditions *conditions,
			    const struct validators *validators, int64_t now);

#endif
