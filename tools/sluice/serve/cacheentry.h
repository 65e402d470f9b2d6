/* SPDX-License-Identifier: MIT */
/* A file or another answer in the cache, with a prepared head. */
#ifndef SLUICE_COMMAND_SERVE_CACHEENTRY_H
#define SLUICE_COMMAND_SERVE_CACHEENTRY_H

#include "list.h"
#include "serve/block.h"
#include "serve/file_lookup.h"
#include "serve/httpdate.h"
#include "serve/mime.h"
#include "span.h"

/* The key of an entry; all members must be equal. */
struct cache_key {
	struct span path;
	uint64_t hash;
	uint32_t view;
};

struct cache_entry {
	struct link by_age;
	struct link by_check;     /* the one unchecked for longest first */
	struct cache_entry *next; /* in its bucket */
	struct link waiters;
	struct block *block; /* the entry's own reference; NULL: not read yet */
	struct file_facts facts;
	struct media media;
	uint64_t hash;
	uint64_t identity; /* unique: the engine need not look at fd */
	uint64_t checked;  /* tick of the last lookup */
	uint32_t view;     /* see view.h */
	uint32_t references;
	uint16_t status; /* of the answer: 200, or 404 for an error page */
	int fd;          /* -1: the content is in the block */
	bool used;
	bool is_listing;
	bool looking_up;
	uint8_t generation; /* generation of the rules used for its head */
	bool listed;
	bool unsettled; /* its facts may not show its next change: read it again */
	bool generated; /* content_hash shows whether the next lookup generated the same content */
	uint8_t etag_length;
	uint8_t last_modified_length; /* 0: the date is unreliable */
	uint64_t content_hash;
	struct span vary;  /* the header's value */
	struct span extra; /* lines of additional headers, from malloc */
	char etag[40];
	char last_modified[HTTPDATE_LENGTH];
	size_t path_length;
	char path[]; /* in plain form, terminated */
};

/* Settings common to all entries of a cache. */
struct entry_context {
	const struct mime *mime;
	const struct rules *rules; /* additional headers; NULL: none */
	bool negotiates;           /* Vary: answers depend on Accept-Encoding */
	int64_t now;               /* seconds since 1970, and the same as text */
	char date[HTTPDATE_LENGTH];
};

/* An entry that has only a key; NULL: out of memory. */
struct cache_entry *cache_entry_create(const struct cache_key *key);

/*
 * An entry for the result of a lookup; takes over descriptor and content of result. NULL: out of
 * memory.
 */
struct cache_entry *cache_entry_of(const struct entry_context *context, const struct cache_key *key,
				   struct lookup_result *result);

/*
 * Prepares the head again after a change of the rules. False: out of memory, and the old one
 * remains.
 */
bool cache_entry_renew(const struct entry_context *context, struct cache_entry *entry);

struct cache_entry *cache_entry_hold(struct cache_entry *entry);
void cache_entry_release(struct cache_entry *entry);

#endif
