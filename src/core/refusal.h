/* SPDX-License-Identifier: MIT */
/*
 * Some file systems do not support sendfile(2) and splice(2), and some sandboxes forbid the calls.
 * Such a file is read and sent instead. The file system is remembered, so that only one call fails
 * and not one per slice. Pure.
 */
#ifndef SLUICE_SRC_CORE_REFUSAL_H
#define SLUICE_SRC_CORE_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#define SLUICE__REFUSALS 16u /* devices; the oldest is evicted first */

/* All zero: none. */
struct sluice__refusals {
	uint64_t devices[SLUICE__REFUSALS];
	uint32_t count;
	uint32_t next;
};

/* Whether the error means that the call is not supported, so that reading the file may work. */
bool sluice__refusal_is(int error_number);
/* A device of 0 is unknown, and not remembered. */
void sluice__refusal_remember(struct sluice__refusals *refusals, uint64_t device);
bool sluice__refusal_knows(const struct sluice__refusals *refusals, uint64_t device);

#endif
