/* SPDX-License-Identifier: MIT */
/* The names of the capabilities, and what each is for. */
#ifndef SLUICE_SRC_BASE_CAPABILITY_H
#define SLUICE_SRC_BASE_CAPABILITY_H

#include <stdint.h>

struct sluice__capability {
	uint32_t bit;
	const char *name;
	const char *description;
};

/* In the order of the bits. NULL past the last. */
const struct sluice__capability *sluice__capability(uint32_t index);

/* Those of the bits that are of use: without the others that they build on, some are not. */
uint32_t sluice__capabilities_usable(uint32_t bits);

/* The bits of "name,name". An unknown name is no bit; NULL is an empty list. */
uint32_t sluice__capabilities_named(const char *list);

#endif
