/* SPDX-License-Identifier: MIT */
/*
 * The cache of one engine: a limited number of open descriptors and of small contents, ready to be
 * sent. A hot file costs no system call until its entry is older than the revalidation interval;
 * then it is opened again and compared, so that a file replaced by rename is noticed. An entry
 * without requests is dropped after a few intervals.
 *
 * All of it belongs to the engine's thread. Lookups that might block on a disk run in other
 * threads.
 */
#ifndef SLUICE_COMMAND_SERVE_FILECACHE_H
#define SLUICE_COMMAND_SERVE_FILECACHE_H

#include "list.h"
#include "serve/cacheentry.h"

struct filecache;
struct cache_waiter;
struct sluice_engine;

struct found {
	int status;                /* 200, or another status */
	bool no_index;             /* with 403: a directory, and listings are off */
	uint16_t answer_status;    /* replaces the entry's own; 0: none */
	struct span url;           /* target of the redirect, if the status is one */
	struct cache_entry *entry; /* with 200 */
};

/* Called when a lookup that had to wait is done; the entry is valid during the call. */
typedef void cache_ready_fn(struct cache_waiter *waiter, struct found found);

/* Embedded in what waits; must not move while it waits. */
struct cache_waiter {
	struct link link;
	cache_ready_fn *ready;
};

struct filecache_options {
	struct docroot *docroot;
	const struct mime *mime;
	size_t entries;         /* limit, apart from those being looked up */
	uint64_t content_bytes; /* files up to this size are kept in memory */
	uint64_t revalidate_s;  /* 0: at each request */
	size_t lookup_threads;  /* limit, for lookups that have to wait */
	struct file_lookup_options lookup;
};

/* NULL: out of memory. */
struct filecache *filecache_create(struct sluice_engine *engine,
				   const struct filecache_options *options);

/*
 * Ends the other threads; one that hangs is abandoned, and their number is returned. The engine has
 * to run until no lookup is pending, and may then be destroyed.
 */
size_t filecache_stop_looking(struct filecache *cache);

/* After the engine: its last handlers release entries. A held entry remains valid. */
void filecache_destroy(struct filecache *cache);

/* Sets the time: monotonic seconds, and the date (HTTPDATE_LENGTH characters). */
void filecache_set_time(struct filecache *cache, uint64_t tick, int64_t now, const char *date);

/*
 * Looks up a view of the path of a target, as received. True: ret_found is the result; the entry is
 * valid until the next call, or longer if it is held. False: the waiter is called later.
 */
bool filecache_find(struct filecache *cache, struct span path, uint32_t view,
		    struct cache_waiter *waiter, struct found *ret_found);

/* The same for a path in plain form, which is terminated. */
bool filecache_find_plain(struct filecache *cache, struct span path, uint32_t view,
			  struct cache_waiter *waiter, struct found *ret_found);

/* Cancels the waiter. */
void filecache_stop_waiting(struct cache_waiter *waiter);

/* Lookups in progress, and undelivered results. */
size_t filecache_pending(const struct filecache *cache);

/*
 * Once a second: drops entries without a request for a few revalidation intervals, so that deleted
 * files do not stay open.
 */
void filecache_expire(struct filecache *cache);
bool filecache_is_empty(const struct filecache *cache);

/*
 * All entries are looked up again, with the headers of these rules, which must outlive the cache.
 */
void filecache_reload(struct filecache *cache, const struct rules *rules);

/* The number of entries and of lookups. */
void filecache_count(const struct filecache *cache, uint64_t *ret_entries, uint64_t *ret_looks);

/* Closes all descriptors that are not being sent from. */
void filecache_empty(struct filecache *cache);

/* The entry's block with the current date; NULL: out of memory. Release it. */
struct block *cache_entry_block(struct filecache *cache, struct cache_entry *entry);

#endif
