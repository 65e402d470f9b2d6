/* SPDX-License-Identifier: MIT */
/* The Range header: ranges of bytes (RFC 9110, 14). */
#ifndef SLUICE_COMMAND_SERVE_RANGE_H
#define SLUICE_COMMAND_SERVE_RANGE_H

#include <stdint.h>

#include "span.h"

enum range_kind {
	RANGE_IGNORED,       /* not understood, too many, or of an empty file: the whole is sent */
	RANGE_SATISFIABLE,   /* 206 */
	RANGE_UNSATISFIABLE, /* 416 */
};

struct range {
	uint64_t first;
	uint64_t length;
};

#define RANGES_MAX 16 /* in one request */

/*
 * The satisfiable ranges that the header's value asks of size bytes, in its order. Ranges that are
 * not satisfiable are left out. Together they are smaller than the file, so that overlapping ranges
 * cannot make an answer larger than the file: otherwise the header is ignored. ret_ranges and
 * ret_count are written only if the result is RANGE_SATISFIABLE.
 */
enum range_kind ranges_parse(struct span value, uint64_t size, struct range ret_ranges[RANGES_MAX],
			     size_t *ret_count);

#endif
