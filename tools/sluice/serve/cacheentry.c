/* SPDX-License-Identifier: MIT */
#include "serve/cacheentry.h"

#include <stdlib.h>
#include <unistd.h>

#include "serve/response.h"
#include "serve/rules.h"
#include "serve/validator.h"
#include "serve/view.h"

#define HEAD_BYTES 1024 /* of all headers but the extra ones */

struct cache_entry *cache_entry_create(const struct cache_key *key)
{
	struct cache_entry *entry = calloc(1, sizeof(*entry) + key->path.length + 1);

	if (entry == NULL)
		return NULL;
	list_init(&entry->by_age);
	list_init(&entry->by_check);
	list_init(&entry->waiters);
	entry->references = 1;
	entry->fd = -1;
	entry->hash = key->hash;
	entry->view = key->view;
	entry->path_length = key->path.length;
	memcpy(entry->path, key->path.at, key->path.length);
	return entry;
}

struct cache_entry *cache_entry_hold(struct cache_entry *entry)
{
	entry->references++;
	return entry;
}

void cache_entry_release(struct cache_entry *entry)
{
	if (entry == NULL || --entry->references > 0)
		return;
	if (entry->fd >= 0)
		close(entry->fd);
	block_release(entry->block);
	free((char *)(uintptr_t)entry->extra.at);
	free(entry);
}

static void write_plain_head(struct text *text, const struct entry_context *context,
			     const struct cache_entry *entry)
{
	struct response_head head = {
		.status = entry->status,
		.date = context->date,
		.media = entry->media,
		.etag = {entry->etag_length > 0 ? entry->etag : NULL, entry->etag_length},
		.vary = entry->vary,
		.extra = entry->extra,
		.accepts_ranges = entry->status == 200,
		.has_length = true,
		.content_length = entry->facts.size,
	};

	if (entry->last_modified_length > 0)
		head.last_modified =
			(struct span){entry->last_modified, entry->last_modified_length};
	response_write_head(text, &head);
}

/* A block with the entry's head and a copy of the content; NULL: out of memory. */
static struct block *make_block(const struct entry_context *context,
				const struct cache_entry *entry, struct span content)
{
	size_t longest = HEAD_BYTES + entry->extra.length;
	char *memory = malloc(longest);
	struct text head = text_in(memory, longest);
	struct block *block = NULL;

	if (memory == NULL)
		return NULL;
	write_plain_head(&head, context, entry);
	if (!head.overflowed)
		block = block_create((struct span){memory, head.length},
				     response_date_offset(entry->status), context->now, content);
	free(memory);
	return block;
}

/* Takes over a generated content; copies that of a small file. NULL: out of memory. */
static struct block *prepare_block(const struct entry_context *context,
				   const struct cache_entry *entry, struct lookup_result *result)
{
	struct span content = {"", 0};
	struct block *block;

	if (result->content != NULL && !result->generated)
		content = (struct span){result->content, entry->facts.size};
	block = make_block(context, entry, content);
	if (block == NULL || !result->generated)
		return block;
	if (!block_set_body(block, result->content, entry->facts.size)) {
		block_release(block);
		return NULL;
	}
	result->content = NULL;
	return block;
}

/* False: out of memory. */
static bool set_extra(const struct entry_context *context, struct cache_entry *entry)
{
	struct buffer lines = {0};

	if (context->rules != NULL)
		rules_write_headers(context->rules, (struct span){entry->path, entry->path_length},
				    &lines);
	if (lines.failed) {
		buffer_dispose(&lines);
		return false;
	}
	free((char *)(uintptr_t)entry->extra.at);
	entry->extra = (struct span){lines.base, lines.length};
	return true;
}

bool cache_entry_renew(const struct entry_context *context, struct cache_entry *entry)
{
	struct block *old = entry->block, *block;
	struct span content = {old->bytes + old->head_length, old->length - old->head_length};

	if (!set_extra(context, entry))
		return false;
	block = make_block(context, entry, content);
	if (block == NULL)
		return false;
	block->body = old->body;
	if (block->body != NULL)
		block->body->references++;
	entry->block = block;
	block_release(old);
	return true;
}

static void write_validators(struct cache_entry *entry, const struct lookup_result *result)
{
	struct text etag = text_in(entry->etag, sizeof(entry->etag));

	validator_write_etag(&etag, result);
	entry->etag_length = (uint8_t)etag.length;
	entry->unsettled = validator_is_unsettled(result);
	if (validator_is_dated(result)) {
		httpdate_format(entry->last_modified, result->facts.modified_ns / 1000000000);
		entry->last_modified_length = HTTPDATE_LENGTH;
	}
}

static struct media media_of(const struct entry_context *context, const struct cache_key *key,
			     const struct lookup_result *result)
{
	struct span path = key->path;

	if (result->listing && view_listing(key->view).json)
		return (struct media){.type = span_of("application/json")};
	if (result->listing)
		return (struct media){span_of("text/html"), span_of("utf-8"), {NULL, 0}};
	if (result->suffix != NULL)
		path = span_of(result->suffix);
	return mime_media(context->mime, path);
}

struct cache_entry *cache_entry_of(const struct entry_context *context, const struct cache_key *key,
				   struct lookup_result *result)
{
	struct cache_entry *entry = cache_entry_create(key);

	if (entry == NULL)
		return NULL;
	entry->facts = result->facts;
	entry->generated = result->generated;
	entry->is_listing = result->listing;
	entry->content_hash = result->content_hash;
	entry->media = media_of(context, key, result);
	if (result->encoding != ENCODING_IDENTITY)
		entry->media.encoding = span_of(encoding_name((enum encoding)result->encoding));
	if (result->listing)
		entry->vary = span_of("Accept");
	else if (context->negotiates)
		entry->vary = span_of("Accept-Encoding");
	entry->status = (key->view & VIEW_ERROR_PAGE) != 0 ? 404 : 200;
	/* Errors have no validators. */
	if (entry->status == 200)
		write_validators(entry, result);
	if (set_extra(context, entry))
		entry->block = prepare_block(context, entry, result);
	if (entry->block == NULL) {
		cache_entry_release(entry);
		return NULL;
	}
	entry->fd = result->fd;
	result->fd = -1;
	return entry;
}
