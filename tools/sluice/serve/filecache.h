/* SPDX-License-Identifier: MIT */
/*
 * What one engine knows about files: a bounded number of open descriptors and of small contents,
 * ready to be sent. A hot file costs no system call until its entry is older than the revalidation
 * interval; then it is opened again and compared, so that a file replaced by rename is noticed. One
 * that nothing asks for leaves the cache after a few intervals.
 *
 * All of it belongs to the engine's thread. Looks that might wait for a disk happen in others.
 */
#ifndef SLUICE_COMMAND_SERVE_FILECACHE_H
#define SLUICE_COMMAND_SERVE_FILECACHE_H

#include "list.h"
#include "serve/httpdate.h"
#include "serve/load.h"
#include "serve/mime.h"
#include "span.h"

struct filecache;
struct cache_waiter;
struct sluice_engine;

/*
 * The head of a plain answer and, of a small file, its content behind it, in one piece. It is
 * never written to while somebody sends it.
 */
struct block {
	uint32_t references;
	uint32_t head_length;
	size_t length;
	int64_t dated; /* the second that its date names */
	char bytes[];
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
	uint32_t references;
	int fd; /* -1: the content is in the block */
	bool used;
	bool loading;
	bool listed;
	bool unsettled; /* it may change and show the same facts: the next look reads it again */
	uint8_t etag_length;
	uint8_t last_modified_length; /* 0: the date is not to be trusted */
	char etag[40];
	char last_modified[HTTPDATE_LENGTH];
	size_t path_length;
	char path[]; /* in its plain form, terminated */
};

struct found {
	int status;                /* 200, or what else to answer with */
	struct cache_entry *entry; /* with 200 */
};

/* Called when a look that had to wait is done; the entry lives as long as the call. */
typedef void cache_ready_fn(struct cache_waiter *waiter, struct found found);

/* Stands in what waits; never moved while it waits. */
struct cache_waiter {
	struct link link;
	cache_ready_fn *ready;
};

struct filecache_options {
	struct docroot *docroot;
	const struct mime *mime;
	size_t entries;         /* at most, apart from those being looked at */
	uint64_t content_bytes; /* files up to this are kept in memory */
	uint64_t revalidate_s;  /* 0: with each request */
	size_t lookup_threads;  /* at most, for looks that have to wait */
	bool dotfiles;
};

/* NULL: no memory. */
struct filecache *filecache_create(struct sluice_engine *engine,
				   const struct filecache_options *options);

/*
 * Ends the other threads; one that hangs is left behind, and its number returned. The engine has to
 * run until no look is pending any more, and may be destroyed then.
 */
size_t filecache_stop_looking(struct filecache *cache);

/* After the engine: its last handlers release entries. One that is still held lives on. */
void filecache_destroy(struct filecache *cache);

/* Tells the time: seconds that only grow, and the date (HTTPDATE_LENGTH characters). */
void filecache_set_time(struct filecache *cache, uint64_t tick, int64_t now, const char *date);

/*
 * Looks for the path of a target, as it came. True: ret_found says what to answer; the entry lives
 * until the next call, or longer when it is held. False: the waiter is called later.
 */
bool filecache_find(struct filecache *cache, struct span path, struct cache_waiter *waiter,
		    struct found *ret_found);

/* The waiter is not called any more. */
void filecache_stop_waiting(struct cache_waiter *waiter);

/* Looks that are going on elsewhere, and answers of theirs on the way. */
size_t filecache_pending(const struct filecache *cache);

/*
 * Once a second: drops what has not been asked for in a few times the revalidation interval. A file
 * that is deleted is not kept open for longer.
 */
void filecache_expire(struct filecache *cache);
bool filecache_is_empty(const struct filecache *cache);

/* Closes every descriptor that nobody is sending from. */
void filecache_empty(struct filecache *cache);

struct cache_entry *cache_entry_hold(struct cache_entry *entry);
void cache_entry_release(struct cache_entry *entry);

/* The entry's block with the present date in it; NULL: no memory. Release it. */
struct block *cache_entry_block(struct filecache *cache, struct cache_entry *entry);
void block_release(struct block *block);

#endif
