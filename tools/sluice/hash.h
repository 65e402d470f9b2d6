/* SPDX-License-Identifier: MIT */
/* A fast hash, equal on all machines of one byte order. Not for secrets. */
#ifndef SLUICE_COMMAND_HASH_H
#define SLUICE_COMMAND_HASH_H

#include <stdint.h>

#include "span.h"

static inline uint64_t hash_bytes(uint64_t seed, struct span bytes)
{
	uint64_t hash = seed ^ bytes.length, word;

	while (bytes.length >= sizeof(word)) {
		memcpy(&word, bytes.at, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
		bytes = span_from(bytes, sizeof(word));
	}
	word = 0;
	memcpy(&word, bytes.at, bytes.length);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

#endif
