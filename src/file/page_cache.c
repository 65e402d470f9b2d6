/* SPDX-License-Identifier: MIT */
/*
 * Uncached files: a window is prefetched into the page cache without blocking the engine's thread
 * and then sent like a cached one. A slow reader occupies no window; the prefetches in flight are
 * limited, and further sockets wait in a queue.
 *
 * A range found cached is remembered for a second, so that a file that is sent repeatedly is not
 * probed each time.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/libc.h"
#include "base/queue.h"
#include "core/packets.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"

#define PROBES 1024u           /* remembered ranges; a newer one replaces an older one */
#define PROBE_NS 1000000000u   /* validity of an entry, by the cheap coarse clock */
#define PROBE_SHIFT 20         /* bytes of a file per entry: 1 MiB */
#define TMPFS_MAGIC 0x01021994 /* always in memory, but RWF_NOWAIT does not report it */

struct window {
	struct sluice__request request;
	struct sluice_socket *socket; /* waits for the window; NULL: abandoned */
	struct sluice__link link;     /* in the pool */
	uint64_t identity;
};

struct probe {
	uint64_t key;
	uint64_t from;
	uint64_t to;
	uint64_t until_ns;
};

struct sluice__page_cache {
	struct window *windows;
	struct sluice__pool free;
	struct probe probes[PROBES];
};

int sluice__page_cache_open(struct sluice_engine *engine)
{
	struct sluice__page_cache *page_cache = sluice__allocate(engine, sizeof *page_cache);
	uint32_t count = engine->options.fetch_windows;

	if (!page_cache)
		return -ENOMEM;
	engine->files->page_cache = page_cache;
	sluice__fifo_init(&engine->files->windows_waiting);
	page_cache->windows = sluice__allocate(engine, count * sizeof *page_cache->windows);
	if (!page_cache->windows)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		sluice__pool_put(&page_cache->free, &page_cache->windows[i].link);
	return 0;
}

void sluice__page_cache_close(struct sluice_engine *engine)
{
	if (!engine->files->page_cache)
		return;
	free(engine->files->page_cache->windows);
	free(engine->files->page_cache);
	engine->files->page_cache = NULL;
}

/* ---- probing ---- */

static uint64_t mix_hash(uint64_t value)
{
	value ^= value >> 31;
	value *= 0x9e3779b97f4a7c15u;
	return value ^ value >> 29;
}

uint64_t sluice__page_cache_identity(const struct stat *status)
{
	return mix_hash(mix_hash((uint64_t)status->st_dev) + (uint64_t)status->st_ino) | 1;
}

uint64_t sluice__page_cache_identity_of(uint64_t known)
{
	return mix_hash(known) | 1;
}

static uint64_t coarse_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct probe *probe_entry(struct sluice_engine *engine, uint64_t identity, uint64_t offset,
				 uint64_t *ret_key)
{
	uint64_t key = mix_hash(identity + (offset >> PROBE_SHIFT));

	*ret_key = key;
	return &engine->files->page_cache->probes[key % PROBES];
}

/* End of the part of at..to that the entry of `at` covers. */
static uint64_t entry_end(uint64_t at, uint64_t to)
{
	uint64_t end = ((at >> PROBE_SHIFT) + 1) << PROBE_SHIFT;

	return end < to ? end : to;
}

static bool is_remembered(struct sluice_engine *engine, uint64_t identity, uint64_t from,
			  uint64_t to)
{
	uint64_t now = coarse_clock();

	for (uint64_t at = from; at < to; at = entry_end(at, to)) {
		uint64_t key;
		const struct probe *probe = probe_entry(engine, identity, at, &key);

		if (probe->key != key || probe->until_ns <= now || probe->from > at ||
		    probe->to < entry_end(at, to))
			return false;
	}
	return true;
}

static void remember_range(struct sluice_engine *engine, uint64_t identity, uint64_t from,
			   uint64_t to)
{
	uint64_t now = coarse_clock();

	for (uint64_t at = from; at < to; at = entry_end(at, to)) {
		uint64_t key, end = entry_end(at, to);
		struct probe *probe = probe_entry(engine, identity, at, &key);
		bool joins = probe->key == key && probe->until_ns > now && probe->from <= end &&
			     probe->to >= at;

		probe->from = joins && probe->from < at ? probe->from : at;
		probe->to = joins && probe->to > end ? probe->to : end;
		probe->key = key;
		probe->until_ns = now + PROBE_NS;
	}
}

enum {
	UNCACHED,
	CACHED,
	UNKNOWN
};

static int probe_page(int fd, uint64_t offset)
{
	char byte;
	struct iovec segment = {&byte, 1};

	if (preadv2(fd, &segment, 1, (off_t)offset, RWF_NOWAIT) >= 0)
		return CACHED;
	return errno == EAGAIN ? UNCACHED : UNKNOWN;
}

static bool is_on_tmpfs(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

/* Overlayfs cannot be probed: its files count as uncached until they have been prefetched once. */
static int probe_range(struct sluice_engine *engine, const struct sluice__part *part,
		       uint64_t offset, uint64_t count)
{
	int seen = UNKNOWN;

	engine->statistics.file_looks++;
	if (engine->capabilities & SLUICE_CAPABILITY_CACHE_LOOK) {
		seen = probe_page(part->fd, offset);
		if (seen == CACHED && (offset ^ (offset + count - 1)) >> 12)
			seen = probe_page(part->fd, offset + count - 1);
	}
	if (seen == UNKNOWN && is_on_tmpfs(part->fd))
		return CACHED;
	return seen;
}

bool sluice__page_cache_holds(struct sluice_engine *engine, const struct sluice__part *part,
			      uint64_t offset, uint64_t count)
{
	sluice__assert_owner(engine);
	sluice__assert(count > 0);
	if (is_remembered(engine, part->identity, offset, offset + count))
		return true;
	if (probe_range(engine, part, offset, count) != CACHED)
		return false;
	remember_range(engine, part->identity, offset, offset + count);
	return true;
}

/* ---- prefetching ---- */

void sluice__prefetch_begin(struct sluice_socket *socket, const struct sluice__part *part,
			    uint64_t offset, uint64_t count)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__page_cache *page_cache = engine->files->page_cache;
	struct window *window =
		sluice__element(sluice__pool_get(&page_cache->free), struct window, link);

	sluice__assert_owner(engine);
	sluice__assert(!(socket->state & (SLUICE__ST_BLOCKED | SLUICE__ST_PREFETCHING)));
	sluice__assert(count > 0);
	sluice__block(socket);
	socket->state |= SLUICE__ST_PREFETCHING;
	if (!window) {
		sluice__fifo_push(&engine->files->windows_waiting, &socket->prefetch_link);
		return;
	}
	window->request = (struct sluice__request){
		.kind = SLUICE__REQUEST_FETCH,
		.fd = part->fd,
		.offset = offset,
		.length = count,
	};
	window->socket = socket;
	window->identity = part->identity;
	if (engine->backend->start(engine, &window->request) < 0) {
		/* Neither ring nor worker available: block once rather than never send. */
		sluice__pool_put(&page_cache->free, &window->link);
		window->socket = NULL;
		sluice__unblock(socket);
		socket->state &= ~(uint32_t)SLUICE__ST_PREFETCHING;
		remember_range(engine, part->identity, offset, offset + count);
		sluice__ready(socket);
		return;
	}
	window->request.armed = true;
	engine->armed_requests++;
}

static void unblock_socket(struct sluice_socket *socket)
{
	sluice__unblock(socket);
	socket->state &= ~(uint32_t)SLUICE__ST_PREFETCHING;
	sluice__ready(socket);
}

/*
 * The socket begins its prefetch in its turn. If it is closed before, no completion resumes the next
 * one: transmit does.
 */
bool sluice__prefetch_resume(struct sluice_engine *engine)
{
	struct sluice_socket *socket;

	sluice__assert_owner(engine);
	if (sluice__pool_is_empty(&engine->files->page_cache->free))
		return false;
	socket = sluice__element(sluice__fifo_pop(&engine->files->windows_waiting),
				 struct sluice_socket, prefetch_link);
	if (!socket)
		return false;
	unblock_socket(socket);
	return true;
}

void sluice__prefetch_settle(struct sluice_engine *engine,
			     const struct sluice__completion *completion)
{
	struct sluice__page_cache *page_cache = engine->files->page_cache;
	struct window *window = (struct window *)completion->request;
	struct sluice_socket *socket = window->socket;

	sluice__assert_owner(engine);
	engine->statistics.file_windows_fetched++;
	/* Even if it failed: then the send reports the error. */
	remember_range(engine, window->identity, window->request.offset,
		       window->request.offset + window->request.length);
	if (socket) {
		struct sluice__packets *packets = sluice__sendq_head(&socket->queue)->rare.side;

		packets->cached_to = window->request.offset + window->request.length;
		unblock_socket(socket);
	}
	window->socket = NULL;
	sluice__pool_put(&page_cache->free, &window->link);
	sluice__prefetch_resume(engine);
}

void sluice__prefetch_forget(struct sluice_socket *socket)
{
	struct sluice__page_cache *page_cache = socket->engine->files->page_cache;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_PREFETCHING))
		return;
	sluice__unblock(socket);
	socket->state &= ~(uint32_t)SLUICE__ST_PREFETCHING;
	for (uint32_t i = 0; i < socket->engine->options.fetch_windows; i++) {
		if (page_cache->windows[i].socket == socket)
			page_cache->windows[i].socket = NULL;
	}
	sluice__fifo_remove(&socket->engine->files->windows_waiting, &socket->prefetch_link);
}
