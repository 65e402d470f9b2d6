/* SPDX-License-Identifier: MIT */
/* The text of a multipart/byteranges response (RFC 9110, 14.6); pure. */
#ifndef SLUICE_COMMAND_SERVE_MULTIPART_H
#define SLUICE_COMMAND_SERVE_MULTIPART_H

#include "serve/mime.h"
#include "serve/range.h"
#include "text.h"

#define MULTIPART_TYPE_BYTES 80 /* capacity for multipart_write_type */

struct multipart {
	uint64_t boundary; /* random, so that it cannot be placed in a file */
	struct media media;
	uint64_t size; /* of the file */
	const struct range *ranges;
	size_t count;
};

/* The value of the Content-Type header. */
void multipart_write_type(struct text *text, const struct multipart *multipart);

/* The delimiter and headers of a part; for part `count`, the closing delimiter. */
void multipart_write_delimiter(struct text *text, const struct multipart *multipart, size_t part);

/* An upper bound for the bytes of all delimiters. */
size_t multipart_capacity(const struct multipart *multipart);

#endif
