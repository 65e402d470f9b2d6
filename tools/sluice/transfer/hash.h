/* SPDX-License-Identifier: MIT */
/* Checksums of files: XXH3, 128 bits. A file that exists is read by a thread beside the engine's. */
#ifndef SLUICE_COMMAND_TRANSFER_HASH_H
#define SLUICE_COMMAND_TRANSFER_HASH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transfer/wire.h"

struct sluice_engine;
struct hash; /* what was added so far */

struct hash *hash_new(void); /* NULL without memory */
void hash_free(struct hash *hash);
void hash_reset(struct hash *hash);
void hash_add(struct hash *hash, const void *bytes, size_t length);
void hash_digest(const struct hash *hash, unsigned char ret_digest[WIRE_DIGEST]);

/* Adds a part of a file, in the calling thread. 0; -ENODATA: it is shorter; -errno. */
int hash_add_file(struct hash *hash, int fd, uint64_t from, uint64_t to);

/* The same in a thread. */
struct hasher {
	struct hash *hash; /* nobody else's while it runs */
	struct sluice_engine *engine;
	int fd;
	uint64_t from, to;
	_Atomic uint64_t done; /* up to here it was read */
	_Atomic uint64_t
		allowed; /* and no farther than here, so that it does not empty the cache */
	atomic_bool stop;
	atomic_bool over;
	int error;
	bool started;
	pthread_t thread;
};

/* Begins; the engine is woken when it is over. 0 or -errno. */
int hasher_start(struct hasher *hasher, struct sluice_engine *engine, struct hash *hash, int fd,
		 uint64_t from, uint64_t to);
void hasher_allow(struct hasher *hasher, uint64_t up_to);
bool hasher_is_over(const struct hasher *hasher);
/* Waits for the end of what was started: 0, -ENODATA, -errno. */
int hasher_join(struct hasher *hasher);
/* Ends it early; also where none was started. */
void hasher_stop(struct hasher *hasher);

#endif
