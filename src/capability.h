/* SPDX-License-Identifier: MIT */
/* The names of the capabilities, and what each is for. */
#ifndef SLUICE_SRC_CAPABILITY_H
#define SLUICE_SRC_CAPABILITY_H

#include <stdint.h>

struct sluice__capability {
	uint32_t bit;
	const char *name;
	const char *description;
};

/* In the order of the bits. NULL past the last. */
const struct sluice__capability *sluice__capability(uint32_t index);

#endif
