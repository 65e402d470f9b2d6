/* SPDX-License-Identifier: MIT */
/*
 * Cold files: a window is brought into the page cache without blocking the engine's thread, and then
 * sent as a hot one. Nothing is held for a slow reader; the windows in fetch are bounded, sockets
 * beyond wait in line.
 *
 * What was found hot is remembered for a second, so that a file that is sent again and again is not
 * looked at again and again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>

#include "base/libc.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"

#define LOOKS 1024u            /* remembered; a newer one takes an older one's place */
#define LOOK_NS 1000000000u    /* for how long, by a clock that is cheap to ask */
#define LOOK_SHIFT 20          /* bytes of a file that one memory speaks for: 1 MiB */
#define TMPFS_MAGIC 0x01021994 /* always in memory, but does not say so */

struct window {
	struct sluice__request request;
	struct sluice_socket *socket; /* NULL: nobody waits for it any more */
	struct sluice__link link;     /* in the pool */
	uint64_t identity;
};

struct look {
	uint64_t key;
	uint64_t from;
	uint64_t to;
	uint64_t until_ns;
};

struct sluice__fetcher {
	struct window *windows;
	struct sluice__pool free;
	struct sluice__fifo waiting; /* sockets, by fetch_link */
	struct look looks[LOOKS];
};

int sluice__fetch_open(struct sluice_engine *engine)
{
	struct sluice__fetcher *fetcher = sluice__allocate(engine, sizeof *fetcher);
	uint32_t count = engine->options.fetch_windows;

	if (!fetcher)
		return -ENOMEM;
	engine->fetcher = fetcher;
	sluice__fifo_init(&fetcher->waiting);
	fetcher->windows = sluice__allocate(engine, count * sizeof *fetcher->windows);
	if (!fetcher->windows)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		sluice__pool_put(&fetcher->free, &fetcher->windows[i].link);
	return 0;
}

void sluice__fetch_close(struct sluice_engine *engine)
{
	if (!engine->fetcher)
		return;
	free(engine->fetcher->windows);
	free(engine->fetcher);
	engine->fetcher = NULL;
}

/* ---- looking ---- */

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= 0x9e3779b97f4a7c15u;
	return value ^ value >> 29;
}

uint64_t sluice__fetch_identity(const struct stat *status)
{
	return mix(mix((uint64_t)status->st_dev) + (uint64_t)status->st_ino) | 1;
}

uint64_t sluice__fetch_identity_of(uint64_t known)
{
	return mix(known) | 1;
}

static uint64_t look_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct look *memory_of(struct sluice_engine *engine, uint64_t identity, uint64_t offset,
			      uint64_t *ret_key)
{
	uint64_t key = mix(identity + (offset >> LOOK_SHIFT));

	*ret_key = key;
	return &engine->fetcher->looks[key % LOOKS];
}

/* The part of from..to that the memory of `at` speaks for ends here. */
static uint64_t end_of(uint64_t at, uint64_t to)
{
	uint64_t end = ((at >> LOOK_SHIFT) + 1) << LOOK_SHIFT;

	return end < to ? end : to;
}

static bool remembered(struct sluice_engine *engine, uint64_t identity, uint64_t from, uint64_t to)
{
	uint64_t now = look_clock();

	for (uint64_t at = from; at < to; at = end_of(at, to)) {
		uint64_t key;
		const struct look *look = memory_of(engine, identity, at, &key);

		if (look->key != key || look->until_ns <= now || look->from > at ||
		    look->to < end_of(at, to))
			return false;
	}
	return true;
}

static void remember(struct sluice_engine *engine, uint64_t identity, uint64_t from, uint64_t to)
{
	uint64_t now = look_clock();

	for (uint64_t at = from; at < to; at = end_of(at, to)) {
		uint64_t key, end = end_of(at, to);
		struct look *look = memory_of(engine, identity, at, &key);
		bool joins = look->key == key && look->until_ns > now && look->from <= end &&
			     look->to >= at;

		look->from = joins && look->from < at ? look->from : at;
		look->to = joins && look->to > end ? look->to : end;
		look->key = key;
		look->until_ns = now + LOOK_NS;
	}
}

enum {
	COLD,
	HOT,
	UNKNOWN
};

static int look_at(int fd, uint64_t offset)
{
	char byte;
	struct iovec segment = {&byte, 1};

	if (preadv2(fd, &segment, 1, (off_t)offset, RWF_NOWAIT) >= 0)
		return HOT;
	return errno == EAGAIN ? COLD : UNKNOWN;
}

static bool lives_in_memory(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

/* Overlayfs does not say: what it holds counts as cold until it was fetched once. */
static int look(struct sluice_engine *engine, const struct sluice__part *part, uint64_t offset,
		uint64_t count)
{
	int seen = UNKNOWN;

	engine->statistics.file_looks++;
	if (engine->capabilities & SLUICE_CAPABILITY_CACHE_LOOK) {
		seen = look_at(part->fd, offset);
		if (seen == HOT && (offset ^ (offset + count - 1)) >> 12)
			seen = look_at(part->fd, offset + count - 1);
	}
	if (seen == UNKNOWN && lives_in_memory(part->fd))
		return HOT;
	return seen;
}

bool sluice__fetch_is_hot(struct sluice_engine *engine, const struct sluice__part *part,
			  uint64_t offset, uint64_t count)
{
	sluice__assert_owner(engine);
	sluice__assert(count > 0);
	if (remembered(engine, part->identity, offset, offset + count))
		return true;
	if (look(engine, part, offset, count) != HOT)
		return false;
	remember(engine, part->identity, offset, offset + count);
	return true;
}

/* ---- fetching ---- */

void sluice__fetch_begin(struct sluice_socket *socket, const struct sluice__part *part,
			 uint64_t offset, uint64_t count)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__fetcher *fetcher = engine->fetcher;
	struct window *window =
		sluice__element(sluice__pool_get(&fetcher->free), struct window, link);

	sluice__assert_owner(engine);
	sluice__assert(!(socket->state & (SLUICE__BLOCKED | SLUICE__FETCHING)));
	sluice__assert(count > 0);
	socket->state |= SLUICE__BLOCKED | SLUICE__FETCHING;
	if (!window) {
		sluice__fifo_push(&fetcher->waiting, &socket->fetch_link);
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
		/* Neither ring nor worker to be had: better to block once than never to send. */
		sluice__pool_put(&fetcher->free, &window->link);
		window->socket = NULL;
		socket->state &= ~(uint32_t)(SLUICE__BLOCKED | SLUICE__FETCHING);
		remember(engine, part->identity, offset, offset + count);
		sluice__ready(socket);
		return;
	}
	window->request.armed = true;
	engine->flying++;
}

static void go_on(struct sluice_socket *socket)
{
	socket->state &= ~(uint32_t)(SLUICE__BLOCKED | SLUICE__FETCHING);
	sluice__ready(socket);
}

static void next_in_line(struct sluice__fetcher *fetcher)
{
	struct sluice__link *link = sluice__fifo_pop(&fetcher->waiting);

	/* It looks again, and begins if need be. */
	if (link)
		go_on(sluice__element(link, struct sluice_socket, fetch_link));
}

void sluice__fetch_settle(struct sluice_engine *engine, const struct sluice__completion *completion)
{
	struct sluice__fetcher *fetcher = engine->fetcher;
	struct window *window = (struct window *)completion->request;
	struct sluice_socket *socket = window->socket;

	sluice__assert_owner(engine);
	engine->statistics.file_windows_fetched++;
	/* Also where it failed: then the sending says what is wrong. */
	remember(engine, window->identity, window->request.offset,
		 window->request.offset + window->request.length);
	if (socket) {
		struct sluice__packets *packets = socket->queue.list.head->rare.side;

		packets->warm_to = window->request.offset + window->request.length;
		go_on(socket);
	}
	window->socket = NULL;
	sluice__pool_put(&fetcher->free, &window->link);
	next_in_line(fetcher);
}

void sluice__fetch_forget(struct sluice_socket *socket)
{
	struct sluice__fetcher *fetcher = socket->engine->fetcher;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__FETCHING))
		return;
	socket->state &= ~(uint32_t)(SLUICE__BLOCKED | SLUICE__FETCHING);
	for (uint32_t i = 0; i < socket->engine->options.fetch_windows; i++) {
		if (fetcher->windows[i].socket == socket)
			fetcher->windows[i].socket = NULL;
	}
	sluice__fifo_remove(&fetcher->waiting, &socket->fetch_link);
}
