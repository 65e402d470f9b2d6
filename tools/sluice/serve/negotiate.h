/* SPDX-License-Identifier: MIT */
/* The preferences of a client by quality values (RFC 9110, 12.4.2); pure. */
#ifndef SLUICE_COMMAND_SERVE_NEGOTIATE_H
#define SLUICE_COMMAND_SERVE_NEGOTIATE_H

#include <stdint.h>

#include "span.h"

/* The content codings for which a file may have an encoded variant. */
enum encoding {
	ENCODING_IDENTITY,
	ENCODING_BR,
	ENCODING_ZSTD,
	ENCODING_GZIP,
};

#define ENCODINGS 4

/*
 * The quality, 0 to 1000, that an Accept header gives a media type; 0: not acceptable. ret_named:
 * the header names the type itself, not only a range like text/ and an asterisk.
 */
unsigned int negotiate_media(struct span accept, struct span type, bool *ret_named);

/*
 * The codings that an Accept-Encoding header accepts, in order of preference, as a number of 7
 * bits: two for each coding preferred to the identity, the first in the lowest, and
 * ENCODINGS_WITHOUT_IDENTITY. 0: only the identity.
 */
#define ENCODINGS_MASK 0x7f
#define ENCODINGS_WITHOUT_IDENTITY 0x40
uint32_t negotiate_encodings(struct span accept_encoding);

/* Removes the first of such a list; ENCODING_IDENTITY at its end. */
enum encoding negotiate_next(uint32_t *encodings);

/* "br"; and the suffix of an encoded file, ".br". NULL for the identity. */
const char *encoding_name(enum encoding encoding);
const char *encoding_suffix(enum encoding encoding);

#endif
