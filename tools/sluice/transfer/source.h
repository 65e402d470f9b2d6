/* SPDX-License-Identifier: MIT */
/*
 * Input of a descriptor that may block, such as the standard input: a thread reads it into two
 * blocks in turn.
 */
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
	struct hash *hash; /* of everything read; used by the thread until the end */
	int fd;
	int error;
	size_t next; /* the block that is filled next, from the owner's view */
	size_t lengths[SOURCE_BLOCKS];
	atomic_bool full[SOURCE_BLOCKS];
	sem_t empty[SOURCE_BLOCKS];
	bool started;
	pthread_t thread;
	char blocks[SOURCE_BLOCKS][SOURCE_BLOCK];
};

/* Starts reading; the engine is woken for each block. 0 or -errno. */
int source_start(struct source *source, struct sluice_engine *engine, struct hash *hash, int fd);

/* Whether the next block is ready; a source_length of 0 is the end, or an error. */
bool source_has_block(const struct source *source);
const char *source_block(const struct source *source);
size_t source_length(const struct source *source);

/*
 * Moves to the next block. The previous one, whose number is returned, belongs to the caller until
 * released: a zero-copy send may complete after a later one.
 */
size_t source_advance(struct source *source);
void source_give_back(struct source *source, size_t block);

/* Ends the thread in any state. 0, or the -errno of reading. */
int source_stop(struct source *source);

#endif
