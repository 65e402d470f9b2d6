/* SPDX-License-Identifier: MIT */
/* What a client is told about the version of a file that it gets: validators (RFC 9110, 8.8). */
#ifndef SLUICE_COMMAND_SERVE_VALIDATOR_H
#define SLUICE_COMMAND_SERVE_VALIDATOR_H

#include "serve/load.h"
#include "text.h"

/*
 * Whether another change may leave the facts that were read as they are: only reading the file
 * again tells whether there was one.
 */
bool validator_is_unsettled(const struct loaded *loaded);

/* Writes the entity tag, which is strong. */
void validator_write_etag(struct text *text, const struct loaded *loaded);

/* Whether the time of modification can be trusted to name this version. */
bool validator_is_dated(const struct loaded *loaded);

#endif
