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
#include "serve/cacheentry.h"

struct filecache;
struct cache_waiter;
struct sluice_engine;

struct found {
	int status;                /* 200, or what else to answer with */
	bool no_index;             /* with 403: a directory that is not listed */
	uint16_t answer_status;    /* in place of the entry's own; 0: that */
	struct span url;           /* where to go instead, with the status of a redirect */
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
	struct load_options load;
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
 * Looks for a view of the path of a target, as it came. True: ret_found says what to answer; the entry lives
 * until the next call, or longer when it is held. False: the waiter is called later.
 */
bool filecache_find(struct filecache *cache, struct span path, uint32_t view,
		    struct cache_waiter *waiter, struct found *ret_found);

/* The same for a path in its plain form, which is terminated. */
bool filecache_find_plain(struct filecache *cache, struct span path, uint32_t view,
			  struct cache_waiter *waiter, struct found *ret_found);

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

/* Everything is looked at again, and gets the headers of these rules, which outlive the cache. */
void filecache_reload(struct filecache *cache, const struct rules *rules);

/* How many entries there are, and how often files were looked at. */
void filecache_count(const struct filecache *cache, uint64_t *ret_entries, uint64_t *ret_looks);

/* Closes every descriptor that nobody is sending from. */
void filecache_empty(struct filecache *cache);

/* The entry's block with the present date in it; NULL: no memory. Release it. */
struct block *cache_entry_block(struct filecache *cache, struct cache_entry *entry);

#endif
