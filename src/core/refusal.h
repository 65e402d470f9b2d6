/* SPDX-License-Identifier: MIT */
/*
 * File systems whose files sendfile(2) and splice(2) refuse, and sandboxes that refuse the calls.
 * Such a file is read and sent instead. The file system is remembered, so that one call is wasted and
 * not one for each slice. Pure.
 */
#ifndef SLUICE_SRC_CORE_REFUSAL_H
#define SLUICE_SRC_CORE_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#define SLUICE__REFUSALS 16u /* the oldest is forgotten first */

/* All zero: none. */
struct sluice__refusals {
	uint64_t devices[SLUICE__REFUSALS];
	uint32_t count;
	uint32_t next;
};

/* Whether an error says that the call cannot be made at all: reading the file may get round it. */
bool sluice__refusal_is(int error_number);
/* A device of 0 is not known, and not remembered. */
void sluice__refusal_remember(struct sluice__refusals *refusals, uint64_t device);
bool sluice__refusal_knows(const struct sluice__refusals *refusals, uint64_t device);

#endif
