/* SPDX-License-Identifier: MIT */
/* A file, or another answer, as the cache keeps it: with a head that is ready to be sent. */
#ifndef SLUICE_COMMAND_SERVE_CACHEENTRY_H
#define SLUICE_COMMAND_SERVE_CACHEENTRY_H

#include "list.h"
#include "serve/block.h"
#include "serve/httpdate.h"
#include "serve/load.h"
#include "serve/mime.h"
#include "span.h"

/* Where an entry is found, and what has to be equal. */
struct cache_key {
	struct span path;
	uint64_t hash;
	uint32_t view;
};

struct cache_entry {
	struct link by_age;
	struct link by_check;     /* the longest unchecked first */
	struct cache_entry *next; /* in its bucket */
	struct link waiters;
	struct block *block; /* the entry's own reference; NULL: nothing is known yet */
	struct file_facts facts;
	struct media media;
	uint64_t hash;
	uint64_t identity; /* of no other entry, ever: the engine need not look at fd */
	uint64_t checked;  /* the tick of the last look */
	uint32_t view;     /* see view.h */
	uint32_t references;
	uint16_t status; /* that it is sent with: 200, or 404 for an error page */
	int fd;          /* -1: the content is in the block */
	bool used;
	bool is_listing;
	bool loading;
	uint8_t generation; /* of the rules that its head was made by */
	bool listed;
	bool unsettled; /* it may change and show the same facts: the next look reads it again */
	bool generated; /* content_hash tells whether the next look made the same content */
	uint8_t etag_length;
	uint8_t last_modified_length; /* 0: the date is not to be trusted */
	uint64_t content_hash;
	struct span vary;  /* the header's value */
	struct span extra; /* lines of further headers, from malloc */
	char etag[40];
	char last_modified[HTTPDATE_LENGTH];
	size_t path_length;
	char path[]; /* in its plain form, terminated */
};

/* What all entries of a cache have in common. */
struct entry_context {
	const struct mime *mime;
	const struct rules *rules; /* of further headers; NULL: none */
	bool negotiates;           /* encodings: answers depend on Accept-Encoding */
	int64_t now;               /* seconds since 1970, and the same as text */
	char date[HTTPDATE_LENGTH];
};

/* An entry of which only the key is known; NULL: no memory. */
struct cache_entry *cache_entry_create(const struct cache_key *key);

/*
 * An entry of what was found, with its descriptor or content, which it takes out of loaded. NULL: no
 * memory.
 */
struct cache_entry *cache_entry_of(const struct entry_context *context, const struct cache_key *key,
				   struct loaded *loaded);

/* Makes the head anew, after the rules have changed. False: no memory, and the old one stays. */
bool cache_entry_renew(const struct entry_context *context, struct cache_entry *entry);

struct cache_entry *cache_entry_hold(struct cache_entry *entry);
void cache_entry_release(struct cache_entry *entry);

#endif
