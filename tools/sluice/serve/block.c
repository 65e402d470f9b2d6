/* SPDX-License-Identifier: MIT */
#include "serve/block.h"

#include <stdlib.h>

#include "serve/httpdate.h"

struct block *block_create(struct span head, size_t date_offset, int64_t dated, struct span content)
{
	struct block *block = malloc(sizeof(*block) + head.length + content.length);

	if (block == NULL)
		return NULL;
	*block = (struct block){
		.references = 1,
		.head_length = (uint32_t)head.length,
		.date_offset = (uint32_t)date_offset,
		.length = head.length + content.length,
		.dated = dated,
	};
	memcpy(block->bytes, head.at, head.length);
	if (content.length > 0)
		memcpy(block->bytes + head.length, content.at, content.length);
	return block;
}

bool block_set_body(struct block *block, char *content, size_t length)
{
	struct body *body = malloc(sizeof(*body));

	if (body == NULL)
		return false;
	*body = (struct body){.references = 1, .length = length, .bytes = content};
	block->body = body;
	return true;
}

/* A copy that is not being sent; a body is shared. */
static struct block *block_copy(const struct block *block)
{
	struct block *copy = malloc(sizeof(*block) + block->length);

	if (copy == NULL)
		return NULL;
	memcpy(copy, block, sizeof(*block) + block->length);
	copy->references = 1;
	if (copy->body != NULL)
		copy->body->references++;
	return copy;
}

struct block *block_hold_dated(struct block **block, const char *date, int64_t now)
{
	if ((*block)->dated != now) {
		if ((*block)->references > 1) {
			struct block *copy = block_copy(*block);

			if (copy == NULL)
				return NULL;
			block_release(*block);
			*block = copy;
		}
		memcpy((*block)->bytes + (*block)->date_offset, date, HTTPDATE_LENGTH);
		(*block)->dated = now;
	}
	(*block)->references++;
	return *block;
}

void block_release(struct block *block)
{
	if (block == NULL || --block->references > 0)
		return;
	if (block->body != NULL && --block->body->references == 0) {
		free(block->body->bytes);
		free(block->body);
	}
	free(block);
}
