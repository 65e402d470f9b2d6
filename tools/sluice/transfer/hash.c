/* SPDX-License-Identifier: MIT */
#include "transfer/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sluice/engine.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>
#ifdef HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* the widest vectors of the machine: three times as fast */
#endif

#define BLOCK (256 << 10) /* small enough to stay in a core's cache */
#define PAUSE_NS 1000000

struct hash {
	XXH3_state_t *state;
};

struct hash *hash_new(void)
{
	struct hash *hash = malloc(sizeof(*hash));

	if (hash == NULL)
		return NULL;
	hash->state = XXH3_createState();
	if (hash->state == NULL) {
		free(hash);
		return NULL;
	}
	hash_reset(hash);
	return hash;
}

void hash_free(struct hash *hash)
{
	if (hash == NULL)
		return;
	XXH3_freeState(hash->state);
	free(hash);
}

void hash_reset(struct hash *hash)
{
	XXH3_128bits_reset(hash->state);
}

void hash_add(struct hash *hash, const void *bytes, size_t length)
{
	XXH3_128bits_update(hash->state, bytes, length);
}

void hash_digest(const struct hash *hash, unsigned char ret_digest[WIRE_DIGEST])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash->state));
	memcpy(ret_digest, canonical.digest, WIRE_DIGEST);
}

/* Adds one block. Its bytes, or -errno. */
static int64_t add_block(struct hash *hash, int fd, char *block, uint64_t from, uint64_t to)
{
	size_t length = to - from < BLOCK ? (size_t)(to - from) : BLOCK;
	ssize_t got;

	do
		got = pread(fd, block, length, (off_t)from);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got == 0)
		return -ENODATA;
	hash_add(hash, block, (size_t)got);
	return got;
}

int hash_add_file(struct hash *hash, int fd, uint64_t from, uint64_t to)
{
	char *block = malloc(BLOCK);
	int64_t got = 0;

	if (block == NULL)
		return -ENOMEM;
	while (from < to && got >= 0) {
		got = add_block(hash, fd, block, from, to);
		if (got > 0)
			from += (uint64_t)got;
	}
	free(block);
	return got < 0 ? (int)got : 0;
}

/* ---- the thread ---- */

static void wait_for_leave(struct hasher *hasher, uint64_t at)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	while (at >= atomic_load(&hasher->allowed) && !atomic_load(&hasher->stop))
		nanosleep(&pause, NULL);
}

static int read_all(struct hasher *hasher)
{
	char *block = malloc(BLOCK);
	uint64_t at = hasher->from;
	int64_t got = block != NULL ? 0 : -ENOMEM;

	while (got >= 0 && at < hasher->to && !atomic_load(&hasher->stop)) {
		wait_for_leave(hasher, at);
		got = add_block(hasher->hash, hasher->fd, block, at, hasher->to);
		if (got > 0)
			at += (uint64_t)got;
		atomic_store_explicit(&hasher->done, at, memory_order_relaxed);
	}
	free(block);
	return got < 0 ? (int)got : 0;
}

static void *run(void *token)
{
	struct hasher *hasher = token;

	hasher->error = read_all(hasher);
	atomic_store(&hasher->over, true);
	sluice_engine_wake(hasher->engine);
	return NULL;
}

int hasher_start(struct hasher *hasher, struct sluice_engine *engine, struct hash *hash, int fd,
		 uint64_t from, uint64_t to)
{
	int error;

	memset(hasher, 0, sizeof(*hasher));
	hasher->engine = engine;
	hasher->hash = hash;
	hasher->fd = fd;
	hasher->from = from;
	hasher->to = to;
	hasher->allowed = UINT64_MAX;
	posix_fadvise(fd, (off_t)from, (off_t)(to - from), POSIX_FADV_SEQUENTIAL);
	error = pthread_create(&hasher->thread, NULL, run, hasher);
	hasher->started = error == 0;
	return -error;
}

void hasher_allow(struct hasher *hasher, uint64_t up_to)
{
	atomic_store_explicit(&hasher->allowed, up_to, memory_order_relaxed);
}

bool hasher_is_over(const struct hasher *hasher)
{
	return atomic_load(&hasher->over);
}

int hasher_join(struct hasher *hasher)
{
	if (!hasher->started)
		return 0;
	pthread_join(hasher->thread, NULL);
	hasher->started = false;
	return hasher->error;
}

void hasher_stop(struct hasher *hasher)
{
	atomic_store(&hasher->stop, true);
	hasher_join(hasher);
}
