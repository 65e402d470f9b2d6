/* SPDX-License-Identifier: MIT */
#include "serve/filecache.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "hash.h"
#include "messages.h"
#include "serve/cacheentry.h"
#include "serve/escape.h"
#include "serve/lookup_threads.h"
#include "serve/resolve.h"

struct filecache {
	struct filecache_options options;
	struct lookup_threads *threads;
	struct cache_entry **buckets;
	size_t bucket_mask;
	size_t count;
	uint64_t large_bytes; /* of generated contents beyond content_bytes */
	struct link by_age;   /* oldest first */
	struct link by_check;
	struct link jobs;
	bool stopped;
	uint64_t seed;
	uint64_t identities; /* last number assigned */
	uint64_t looks;
	uint8_t generation; /* generation of the rules */
	uint64_t tick;
	uint64_t reported; /* tick of the last reported error */
	struct entry_context context;
	struct cache_entry *kept; /* the last result, valid until the next */
};

struct cache_job {
	struct lookup_job job;
	struct link link; /* in the cache's list */
	struct filecache *cache;
	struct cache_entry *entry;
	char path[];
};

#define INTERVALS_KEPT 4              /* for revalidation, without a request */
#define LARGE_BYTES_MAX (32ull << 20) /* of all kept generated contents */

static void finish_look(struct lookup_job *lookup);
static void drop_look(struct lookup_job *lookup);

struct filecache *filecache_create(struct sluice_engine *engine,
				   const struct filecache_options *options)
{
	struct filecache *cache = calloc(1, sizeof(*cache));
	size_t buckets = 16;

	if (cache == NULL)
		return NULL;
	while (buckets < options->entries * 2)
		buckets *= 2;
	cache->options = *options;
	cache->bucket_mask = buckets - 1;
	cache->context.mime = options->mime;
	cache->context.negotiates = options->lookup.precompressed;
	list_init(&cache->by_age);
	list_init(&cache->by_check);
	list_init(&cache->jobs);
	/* Seeded, so that clients cannot choose paths that share a bucket. */
	if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK) < 0)
		cache->seed = (uint64_t)(uintptr_t)cache;
	cache->buckets = calloc(buckets, sizeof(struct cache_entry *));
	cache->threads =
		lookup_threads_create(engine, options->lookup_threads, finish_look, drop_look);
	if (cache->buckets == NULL || cache->threads == NULL) {
		filecache_destroy(cache);
		return NULL;
	}
	return cache;
}

void filecache_set_time(struct filecache *cache, uint64_t tick, int64_t now, const char *date)
{
	cache->tick = tick;
	cache->context.now = now;
	memcpy(cache->context.date, date, HTTPDATE_LENGTH);
}

struct block *cache_entry_block(struct filecache *cache, struct cache_entry *entry)
{
	return block_hold_dated(&entry->block, cache->context.date, cache->context.now);
}

/* Entries */

static struct cache_key key_of(const struct filecache *cache, struct span path, uint32_t view)
{
	return (struct cache_key){path, hash_bytes(cache->seed + view, path), view};
}

static struct cache_entry *find_entry(const struct filecache *cache, const struct cache_key *key)
{
	struct cache_entry *entry = cache->buckets[key->hash & cache->bucket_mask];

	while (entry != NULL &&
	       (entry->hash != key->hash || entry->view != key->view ||
		!span_equals((struct span){entry->path, entry->path_length}, key->path)))
		entry = entry->next;
	return entry;
}

/* The memory of a large content that is kept. */
static uint64_t large_bytes_of(const struct filecache *cache, const struct cache_entry *entry)
{
	return entry->generated && entry->facts.size > cache->options.content_bytes
		       ? entry->facts.size
		       : 0;
}

/* Removes the entry from the cache, with the cache's reference. */
static void unlist(struct filecache *cache, struct cache_entry *entry)
{
	struct cache_entry **at = &cache->buckets[entry->hash & cache->bucket_mask];

	if (!entry->listed)
		return;
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	list_remove(&entry->by_age);
	list_remove(&entry->by_check);
	entry->listed = false;
	cache->count--;
	cache->large_bytes -= large_bytes_of(cache, entry);
	cache_entry_release(entry);
}

/*
 * Evicts the oldest entry to make space. An entry that was used since its last check gets a second
 * chance, and one that is being looked up stays.
 */
static void make_room(struct filecache *cache)
{
	for (size_t looks = 2 * cache->count; looks > 0; looks--) {
		struct link *oldest = cache->by_age.next;
		struct cache_entry *entry = LINK_OWNER(oldest, struct cache_entry, by_age);

		if (cache->count < cache->options.entries)
			return;
		if (!entry->used && !entry->looking_up) {
			unlist(cache, entry);
			continue;
		}
		entry->used = false;
		list_remove(oldest);
		list_append(&cache->by_age, oldest);
	}
}

static void enlist(struct filecache *cache, struct cache_entry *entry)
{
	struct cache_entry **bucket = &cache->buckets[entry->hash & cache->bucket_mask];

	make_room(cache);
	entry->next = *bucket;
	*bucket = entry;
	list_append(&cache->by_age, &entry->by_age);
	list_append(&cache->by_check, &entry->by_check);
	entry->listed = true;
	entry->references++;
	cache->count++;
	cache->large_bytes += large_bytes_of(cache, entry);
}

void filecache_empty(struct filecache *cache)
{
	struct link *link = cache->by_age.next;

	while (link != &cache->by_age) {
		struct cache_entry *entry = LINK_OWNER(link, struct cache_entry, by_age);

		link = link->next;
		if (!entry->looking_up)
			unlist(cache, entry);
	}
}

void filecache_count(const struct filecache *cache, uint64_t *ret_entries, uint64_t *ret_looks)
{
	*ret_entries = cache->count;
	*ret_looks = cache->looks;
}

void filecache_reload(struct filecache *cache, const struct rules *rules)
{
	cache->context.rules = rules;
	cache->generation++;
	filecache_empty(cache);
}

void filecache_expire(struct filecache *cache)
{
	uint64_t interval = cache->options.revalidate_s > 0 ? cache->options.revalidate_s : 1;
	struct link *link = cache->by_check.next;

	cache_entry_release(cache->kept);
	cache->kept = NULL;
	while (link != &cache->by_check) {
		struct cache_entry *entry = LINK_OWNER(link, struct cache_entry, by_check);

		if (cache->tick - entry->checked < INTERVALS_KEPT * interval)
			return;
		link = link->next;
		if (!entry->looking_up)
			unlist(cache, entry);
	}
}

bool filecache_is_empty(const struct filecache *cache)
{
	return cache->count == 0;
}

void filecache_destroy(struct filecache *cache)
{
	if (cache == NULL)
		return;
	lookup_threads_destroy(cache->threads);
	filecache_empty(cache);
	cache_entry_release(cache->kept);
	free(cache->buckets);
	free(cache);
}

/* Looks */

/* The caller of find uses the entry until its next call. */
static struct found keep(struct filecache *cache, struct cache_entry *entry)
{
	cache_entry_release(cache->kept);
	cache->kept = entry;
	return (struct found){.status = 200, .entry = entry};
}

/*
 * A generated content has no descriptor to be sent from. Large ones are kept up to a limit in
 * total, so that successive requests share them.
 */
static bool may_stay(const struct filecache *cache, const struct cache_entry *entry)
{
	return !entry->generated || entry->facts.size <= cache->options.content_bytes ||
	       cache->large_bytes + entry->facts.size <= LARGE_BYTES_MAX;
}

/* Whether the result is the version in the cache. */
static bool is_unchanged(const struct lookup_result *result, const struct cache_entry *old)
{
	if (old == NULL || result->status != 200)
		return false;
	return result->unchanged ||
	       (result->generated && old->generated && old->block != NULL &&
		old->facts.size == result->facts.size && old->content_hash == result->content_hash);
}

/* Reports an unreadable file, at most once a second; a missing one is no error. */
static void report_error(struct filecache *cache, struct span path, int error)
{
	struct buffer name = {0};

	if (error == -ENOENT || error == -ENOTDIR || error == -ENAMETOOLONG || error == -EXDEV ||
	    error == -ELOOP || cache->reported == cache->tick)
		return;
	cache->reported = cache->tick;
	escape_json(&name, path);
	messages_complain("%.*s: %s", (int)name.length, name.base != NULL ? name.base : "",
			  strerror(-error));
	buffer_dispose(&name);
}

/*
 * Updates the cache with the result of a lookup; old is the cached entry, or NULL. Takes over
 * result.
 */
static struct found settle(struct filecache *cache, const struct cache_key *key,
			   struct cache_entry *old, struct lookup_result *result)
{
	struct found found = {.status = result->status, .no_index = result->no_index};
	struct cache_entry *entry;

	if (is_unchanged(result, old)) {
		lookup_result_dispose(result);
		if (old->generation != cache->generation && cache_entry_renew(&cache->context, old))
			old->generation = cache->generation;
		old->checked = cache->tick;
		list_remove(&old->by_check);
		if (old->listed)
			list_append(&cache->by_check, &old->by_check);
		return keep(cache, cache_entry_hold(old));
	}
	if (result->error != 0)
		report_error(cache, key->path, result->error);
	if (result->status == 200) {
		entry = cache_entry_of(&cache->context, key, result);
		if (entry == NULL)
			found.status = 503;
		else
			found = keep(cache, entry);
		if (entry != NULL) {
			entry->generation = cache->generation;
			entry->identity = ++cache->identities;
			entry->checked = cache->tick;
		}
	}
	lookup_result_dispose(result);
	if (old != NULL)
		unlist(cache, old);
	if (found.entry != NULL && may_stay(cache, found.entry))
		enlist(cache, found.entry);
	return found;
}

static struct file_lookup_request lookup_request_of(const struct filecache *cache, const char *path,
						    uint32_t view, const struct cache_entry *old)
{
	struct file_lookup_request request = {
		.docroot = cache->options.docroot,
		.options = &cache->options.lookup,
		.path = path,
		.view = view,
		.content_bytes = cache->options.content_bytes,
	};

	if (old != NULL && old->block != NULL && !old->unsettled) {
		request.known = true;
		request.facts = old->facts;
	}
	return request;
}

/* Calls all waiters. Their handlers may search and wait again. */
static void tell_waiters(struct cache_entry *entry, struct found found)
{
	struct link waiters;

	list_take(&waiters, &entry->waiters);
	while (!list_is_empty(&waiters)) {
		struct cache_waiter *waiter = LINK_OWNER(waiters.next, struct cache_waiter, link);

		list_remove(&waiter->link);
		waiter->ready(waiter, found);
	}
}

static void drop_look(struct lookup_job *lookup)
{
	free(LINK_OWNER(lookup, struct cache_job, job));
}

/* The result of the other thread, in the engine's thread. */
static void finish_look(struct lookup_job *lookup)
{
	struct cache_job *job = LINK_OWNER(lookup, struct cache_job, job);
	struct filecache *cache = job->cache;
	struct cache_entry *old = job->entry;
	struct cache_key key;
	struct found found;

	if (cache->stopped) {
		lookup_result_dispose(&lookup->result);
		free(job);
		return;
	}
	list_remove(&job->link);
	key = (struct cache_key){{old->path, old->path_length}, old->hash, old->view};
	/* Out of descriptors: those of the cache can be closed. The next request tries again. */
	if (lookup->result.status == 503)
		filecache_empty(cache);
	old->looking_up = false;
	found = settle(cache, &key, old, &lookup->result);
	if (found.entry != NULL)
		cache_entry_hold(found.entry);
	tell_waiters(old, found);
	cache_entry_release(found.entry);
	cache_entry_release(old);
	free(job);
}

/* Starts a lookup in another thread; the entry represents the path meanwhile. False: it failed. */
static bool look_elsewhere(struct filecache *cache, const struct cache_key *key,
			   struct cache_entry *entry)
{
	struct cache_job *job = calloc(1, sizeof(*job) + key->path.length + 1);

	if (job == NULL)
		return false;
	if (entry != NULL) {
		cache_entry_hold(entry);
	} else {
		entry = cache_entry_create(key);
		if (entry == NULL) {
			free(job);
			return false;
		}
		enlist(cache, entry);
	}
	job->cache = cache;
	job->entry = entry;
	/* The job outlives the cache if its thread hangs. */
	memcpy(job->path, key->path.at, key->path.length);
	job->job.request = lookup_request_of(cache, job->path, key->view, entry);
	entry->looking_up = true;
	if (lookup_threads_start(cache->threads, &job->job) == 0) {
		list_append(&cache->jobs, &job->link);
		return true;
	}
	entry->looking_up = false;
	unlist(cache, entry);
	cache_entry_release(entry);
	free(job);
	return false;
}

static bool is_fresh(const struct filecache *cache, const struct cache_entry *entry)
{
	return entry->block != NULL && !entry->looking_up &&
	       cache->tick - entry->checked < cache->options.revalidate_s;
}

/* For a path in plain form whose entry is missing or too old. */
static bool look(struct filecache *cache, const struct cache_key *key, struct cache_entry *entry,
		 struct cache_waiter *waiter, struct found *ret_found)
{
	struct file_lookup_request request =
		lookup_request_of(cache, key->path.at, key->view, entry);
	struct lookup_result result;

	if (entry == NULL || !entry->looking_up) {
		cache->looks++;
		if (file_lookup(&request, true, &result) == 0) {
			if (result.status != 503) {
				*ret_found = settle(cache, key, entry, &result);
				return true;
			}
			/* Out of descriptors: those of the cache can be closed. */
			filecache_empty(cache);
			entry = NULL;
		}
		if (!look_elsewhere(cache, key, entry)) {
			*ret_found = (struct found){.status = 503};
			return true;
		}
		entry = find_entry(cache, key);
	}
	list_append(&entry->waiters, &waiter->link);
	return false;
}

bool filecache_find_plain(struct filecache *cache, struct span path, uint32_t view,
			  struct cache_waiter *waiter, struct found *ret_found)
{
	struct cache_key key = key_of(cache, path, view);
	struct cache_entry *entry = find_entry(cache, &key);

	if (entry != NULL && is_fresh(cache, entry)) {
		entry->used = true;
		*ret_found = (struct found){.status = 200, .entry = entry};
		return true;
	}
	return look(cache, &key, entry, waiter, ret_found);
}

/* For a path that is not in plain form, or not in the cache. */
static bool find_slowly(struct filecache *cache, struct span path, uint32_t view,
			struct cache_waiter *waiter, struct found *ret_found)
{
	char plain[RESOLVE_PATH_MAX];
	struct span resolved = {plain, 0};
	int status = resolve_path(path, cache->options.lookup.dotfiles, plain, &resolved.length);

	if (status != 0) {
		*ret_found = (struct found){.status = status};
		return true;
	}
	return filecache_find_plain(cache, resolved, view, waiter, ret_found);
}

bool filecache_find(struct filecache *cache, struct span path, uint32_t view,
		    struct cache_waiter *waiter, struct found *ret_found)
{
	struct cache_entry *entry;

	/*
	 * The keys are in plain form: a path without escapes is either in plain form or not a key.
	 */
	if (memchr(path.at, '%', path.length) == NULL) {
		struct cache_key key = key_of(cache, path, view);

		entry = find_entry(cache, &key);
		if (entry != NULL && is_fresh(cache, entry)) {
			entry->used = true;
			*ret_found = (struct found){.status = 200, .entry = entry};
			return true;
		}
	}
	return find_slowly(cache, path, view, waiter, ret_found);
}

void filecache_stop_waiting(struct cache_waiter *waiter)
{
	list_remove(&waiter->link);
}

size_t filecache_pending(const struct filecache *cache)
{
	return lookup_threads_pending(cache->threads);
}

size_t filecache_stop_looking(struct filecache *cache)
{
	cache->stopped = true;
	while (!list_is_empty(&cache->jobs)) {
		struct cache_job *job = LINK_OWNER(cache->jobs.next, struct cache_job, link);

		list_remove(&job->link);
		job->entry->looking_up = false;
		cache_entry_release(job->entry);
	}
	return lookup_threads_stop(cache->threads);
}
