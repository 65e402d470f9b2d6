/* SPDX-License-Identifier: MIT */
#include "transfer/source.h"

#include <errno.h>
#include <poll.h>
#include <sluice/engine.h>
#include <string.h>
#include <unistd.h>

#include "transfer/hash.h"

/* For a descriptor that another process made non-blocking: waits for input. */
static ssize_t read_or_wait(int fd, char *block)
{
	ssize_t got = read(fd, block, SOURCE_BLOCK);

	if (got < 0 && errno == EAGAIN) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};

		if (poll(&readable, 1, -1) >= 0)
			errno = EINTR;
	}
	return got;
}

/* Only the read may be cancelled: it holds no resource. */
static ssize_t read_block(const struct source *source, char *block)
{
	ssize_t got;

	do {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		got = read_or_wait(source->fd, block);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	} while (got < 0 && errno == EINTR);
	return got;
}

static void *run(void *token)
{
	struct source *source = token;
	size_t block = 0;
	ssize_t got;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	do {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		while (sem_wait(&source->empty[block]) != 0)
			;
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		got = read_block(source, source->blocks[block]);
		if (got < 0)
			source->error = -errno;
		else
			hash_add(source->hash, source->blocks[block], (size_t)got);
		source->lengths[block] = got > 0 ? (size_t)got : 0;
		atomic_store(&source->full[block], true);
		sluice_engine_wake(source->engine);
		block = (block + 1) % SOURCE_BLOCKS;
	} while (got > 0);
	return NULL;
}

int source_start(struct source *source, struct sluice_engine *engine, struct hash *hash, int fd)
{
	int error;

	source->engine = engine;
	source->hash = hash;
	source->fd = fd;
	for (size_t i = 0; i < SOURCE_BLOCKS; i++)
		sem_init(&source->empty[i], 0, 1);
	error = pthread_create(&source->thread, NULL, run, source);
	source->started = error == 0;
	return -error;
}

bool source_has_block(const struct source *source)
{
	return atomic_load(&source->full[source->next]);
}

const char *source_block(const struct source *source)
{
	return source->blocks[source->next];
}

size_t source_length(const struct source *source)
{
	return source->lengths[source->next];
}

size_t source_advance(struct source *source)
{
	size_t block = source->next;

	atomic_store(&source->full[block], false);
	source->next = (block + 1) % SOURCE_BLOCKS;
	return block;
}

void source_give_back(struct source *source, size_t block)
{
	sem_post(&source->empty[block]);
}

int source_stop(struct source *source)
{
	if (!source->started)
		return 0;
	pthread_cancel(source->thread);
	pthread_join(source->thread, NULL);
	source->started = false;
	for (size_t i = 0; i < SOURCE_BLOCKS; i++)
		sem_destroy(&source->empty[i]);
	return source->error;
}
