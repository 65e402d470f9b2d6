/* SPDX-License-Identifier: MIT */
/* Bytes of a descriptor that may block, standard input, read by a thread into two blocks in turn. */
#ifndef SLUICE_COMMAND_TRANSFER_SOURCE_H
#define SLUICE_COMMAND_TRANSFER_SOURCE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_BLOCK (256 << 10)
#define SOURCE_BLOCKS 2

struct sluice_engine;
struct hash;

struct source {
	struct sluice_engine *engine;
	struct hash *hash; /* of everything that was read; the thread's until the end */
	int fd;
	int error;
	size_t next; /* the block that is filled next, as the owner counts */
	size_t lengths[SOURCE_BLOCKS];
	atomic_bool full[SOURCE_BLOCKS];
	sem_t empty[SOURCE_BLOCKS];
	bool started;
	pthread_t thread;
	char blocks[SOURCE_BLOCKS][SOURCE_BLOCK];
};

/* Begins to read; the engine is woken for each block. 0 or -errno. */
int source_start(struct source *source, struct sluice_engine *engine, struct hash *hash, int fd);

/* Whether the next block is there; source_length of 0 is the end, or an error. */
bool source_has_block(const struct source *source);
const char *source_block(const struct source *source);
size_t source_length(const struct source *source);

/*
 * Turns to the next one. The one before, whose number is returned, is the owner's until he gives it
 * back; a send without a copy may end after a later one.
 */
size_t source_advance(struct source *source);
void source_give_back(struct source *source, size_t block);

/* Ends the thread, wherever it is. 0, or the -errno of reading. */
int source_stop(struct source *source);

#endif
