/* SPDX-License-Identifier: MIT */
/* Checksums of files: XXH3, 128 bits. A separate thread reads existing files. */
#ifndef SLUICE_COMMAND_TRANSFER_HASH_H
#define SLUICE_COMMAND_TRANSFER_HASH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transfer/wire.h"

struct sluice_engine;
struct hash; /* the digest of the bytes added so far */

struct hash *hash_new(void); /* NULL: out of memory */
void hash_free(struct hash *hash);
void hash_reset(struct hash *hash);
void hash_add(struct hash *hash, const void *bytes, size_t length);
void hash_digest(const struct hash *hash, unsigned char ret_digest[WIRE_DIGEST]);

/* Adds a part of a file, in the calling thread. 0; -ENODATA: the file is shorter; -errno. */
int hash_add_file(struct hash *hash, int fd, uint64_t from, uint64_t to);

/* The same, in a thread. */
struct hasher {
	struct hash *hash; /* not to be used while the thread runs */
	struct sluice_engine *engine;
	int fd;
	uint64_t from, to;
	_Atomic uint64_t done;    /* bytes read so far */
	_Atomic uint64_t allowed; /* where to pause, so that it does not empty the page cache */
	atomic_bool stop;
	atomic_bool over;
	int error;
	bool started;
	pthread_t thread;
};

/* Starts; the engine is woken when the thread is done. 0 or -errno. */
int hasher_start(struct hasher *hasher, struct sluice_engine *engine, struct hash *hash, int fd,
		 uint64_t from, uint64_t to);
void hasher_allow(struct hasher *hasher, uint64_t up_to);
bool hasher_is_over(const struct hasher *hasher);
/* Waits for the thread: 0, -ENODATA, -errno. */
int hasher_join(struct hasher *hasher);
/* Cancels the thread; may be called if none was started. */
void hasher_stop(struct hasher *hasher);

#endif
