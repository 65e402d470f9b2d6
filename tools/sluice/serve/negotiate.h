/* SPDX-License-Identifier: MIT */
/* What a client prefers, by the quality values of RFC 9110, 12.4.2; pure. */
#ifndef SLUICE_COMMAND_SERVE_NEGOTIATE_H
#define SLUICE_COMMAND_SERVE_NEGOTIATE_H

#include "span.h"

/*
 * The quality, 0 to 1000, that an Accept header gives to a media type; 0: not acceptable. ret_named
 * says whether the header names the type itself, and not by a range like text/ and an asterisk.
 */
unsigned int negotiate_media(struct span accept, struct span type, bool *ret_named);

#endif
