/* SPDX-License-Identifier: MIT */
/* What a client prefers, by the quality values of RFC 9110, 12.4.2; pure. */
#ifndef SLUICE_COMMAND_SERVE_NEGOTIATE_H
#define SLUICE_COMMAND_SERVE_NEGOTIATE_H

#include <stdint.h>

#include "span.h"

/* The content codings that a file may have at its side. */
enum encoding {
	ENCODING_IDENTITY,
	ENCODING_BR,
	ENCODING_ZSTD,
	ENCODING_GZIP,
};

#define ENCODINGS 4

/*
 * The quality, 0 to 1000, that an Accept header gives to a media type; 0: not acceptable. ret_named
 * says whether the header names the type itself, and not by a range like text/ and an asterisk.
 */
unsigned int negotiate_media(struct span accept, struct span type, bool *ret_named);

/*
 * What an Accept-Encoding header takes, in the order of preference, as a number of 7 bits: two for
 * each coding that is preferred to the identity, the first in the lowest, and
 * ENCODINGS_WITHOUT_IDENTITY. 0: nothing but the identity.
 */
#define ENCODINGS_MASK 0x7f
#define ENCODINGS_WITHOUT_IDENTITY 0x40
uint32_t negotiate_encodings(struct span accept_encoding);

/* Takes the first of such a list off; ENCODING_IDENTITY at its end. */
enum encoding negotiate_next(uint32_t *encodings);

/* "br"; and the suffix of a file that is so encoded, ".br". NULL for the identity. */
const char *encoding_name(enum encoding encoding);
const char *encoding_suffix(enum encoding encoding);

#endif
