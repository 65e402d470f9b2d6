/* SPDX-License-Identifier: MIT */
/* The Range header: one range of bytes (RFC 9110, 14). */
#ifndef SLUICE_COMMAND_SERVE_RANGE_H
#define SLUICE_COMMAND_SERVE_RANGE_H

#include <stdint.h>

#include "span.h"

enum range_kind {
	RANGE_IGNORED,       /* not understood, several, or of an empty file: the whole is sent */
	RANGE_SATISFIABLE,   /* 206 */
	RANGE_UNSATISFIABLE, /* 416 */
};

struct range {
	uint64_t first;
	uint64_t length;
};

/* What the header's value asks of size bytes; ret_range is written only when it is satisfiable. */
enum range_kind range_parse(struct span value, uint64_t size, struct range *ret_range);

#endif
