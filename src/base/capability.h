/* SPDX-License-Identifier: MIT */
/* Names and descriptions of the capabilities. */
#ifndef SLUICE_SRC_BASE_CAPABILITY_H
#define SLUICE_SRC_BASE_CAPABILITY_H

#include <stdint.h>

struct sluice__capability {
	uint32_t bit;
	const char *name;
	const char *description;
};

/* In the order of the bits; NULL past the last. */
const struct sluice__capability *sluice__capability(uint32_t index);

/* The bits without those whose prerequisites are missing. */
uint32_t sluice__capabilities_usable(uint32_t bits);

/* The bits of "name,name". Unknown names are ignored; NULL is an empty list. */
uint32_t sluice__capabilities_named(const char *list);

#endif
