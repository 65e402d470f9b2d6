/* SPDX-License-Identifier: MIT */
/* Validators, which tell a client the version of a file (RFC 9110, 8.8). */
#ifndef SLUICE_COMMAND_SERVE_VALIDATOR_H
#define SLUICE_COMMAND_SERVE_VALIDATOR_H

#include "serve/file_lookup.h"
#include "text.h"

/*
 * Whether another change may not alter the facts that were read: then only reading the file again
 * can detect it.
 */
bool validator_is_unsettled(const struct lookup_result *result);

/* Writes the entity tag, which is strong. */
void validator_write_etag(struct text *text, const struct lookup_result *result);

/* Whether the modification time identifies this version reliably. */
bool validator_is_dated(const struct lookup_result *result);

#endif
