/* SPDX-License-Identifier: MIT */
/* The Range header: ranges of bytes (RFC 9110, 14). */
#ifndef SLUICE_COMMAND_SERVE_RANGE_H
#define SLUICE_COMMAND_SERVE_RANGE_H

#include <stdint.h>

#include "span.h"

enum range_kind {
	RANGE_IGNORED,       /* invalid, too many, or of an empty file: the whole file is sent */
	RANGE_SATISFIABLE,   /* 206 */
	RANGE_UNSATISFIABLE, /* 416 */
};

struct range {
	uint64_t first;
	uint64_t length;
};

#define RANGES_MAX 16 /* per request */

/*
 * The satisfiable ranges of the header for size bytes, in its order. Unsatisfiable ranges are
 * omitted. The header is ignored if the ranges together are not smaller than the file, so that
 * overlapping ranges cannot multiply it. ret_ranges and ret_count are written only if the result is
 * RANGE_SATISFIABLE.
 */
enum range_kind ranges_parse(struct span value, uint64_t size, struct range ret_ranges[RANGES_MAX],
			     size_t *ret_count);

#endif
