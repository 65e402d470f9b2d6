/* SPDX-License-Identifier: MIT */
/*
 * The head of a prepared answer and, for a small file, the content after it, in one allocation. It
 * is never modified while it is being sent.
 */
#ifndef SLUICE_COMMAND_SERVE_BLOCK_H
#define SLUICE_COMMAND_SERVE_BLOCK_H

#include <stdint.h>

#include "span.h"

/* A large content in memory, shared by blocks with different dates. */
struct body {
	uint32_t references;
	size_t length;
	char *bytes; /* from malloc */
};

struct block {
	uint32_t references;
	uint32_t head_length;
	uint32_t date_offset;
	size_t length;     /* of the head, and of the content after it */
	int64_t dated;     /* the time of its Date header, in seconds */
	struct body *body; /* the content, if it is not after the head; else NULL */
	char bytes[];
};

/* Copies head and content. NULL: out of memory. */
struct block *block_create(struct span head, size_t date_offset, int64_t dated,
			   struct span content);

/*
 * Gives a block a separate content, which it takes over. False: out of memory, and not taken over.
 */
bool block_set_body(struct block *block, char *content, size_t length);

/*
 * Returns the block with this date and one more reference; *block is replaced if the old one is
 * being sent. NULL: out of memory.
 */
struct block *block_hold_dated(struct block **block, const char *date, int64_t now);

/* NULL is allowed. */
void block_release(struct block *block);

/* The content, wherever it is stored. */
static inline const char *block_content(const struct block *block)
{
	return block->body != NULL ? block->body->bytes : block->bytes + block->head_length;
}

#endif
