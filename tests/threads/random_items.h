/* SPDX-License-Identifier: MIT */
/*
 * Random operations for the end-to-end test: what each sends is known byte for byte, so that a
 * stream can be taken apart again when all of them have ended.
 *
 * A source is a thread that starts operations. On one socket those of one source arrive in the
 * order of their starts, and none in the middle of another; how much of each arrives, its result
 * says. The first byte of an item names its source, so one that was given up after its first byte
 * is still told apart.
 */
#ifndef RANDOM_ITEMS_H
#define RANDOM_ITEMS_H

#include <stdatomic.h>

#include "threads_support.h"

#define SOURCES 5       /* four threads, and who runs the engine */
#define OF_THE_ENGINE 4 /* the source that is the engine's thread */
#define ITEMS_MAX 4096  /* of one source on one stream */
#define PIECES_MAX 12
#define FILES 6

struct random {
	uint64_t state;
};

uint64_t next_random(struct random *random);

/* Below the bound, which is not 0. */
uint64_t below(struct random *random, uint64_t bound);

/* True in one of so many cases. */
bool one_in(struct random *random, uint64_t cases);

/* Bytes that stand in memory, or in the file with this number. */
struct piece {
	const unsigned char *bytes; /* as they have to arrive */
	size_t length;
	int file; /* < 0: memory */
	int64_t offset;
};

enum item_kind {
	ITEM_BUFFER,
	ITEM_LIST,
	ITEM_PACKETS,
	ITEM_BEGIN,
	ITEM_BEGIN_LIST,
	ITEM_BEGIN_FILE,
	ITEM_KINDS
};

struct stream;
struct item;
typedef void item_fn(struct item *item);

struct item {
	struct stream *stream;
	unsigned source;
	unsigned number; /* among those of its source on its stream */
	enum item_kind kind;
	uint32_t flags;
	int64_t timeout_ns;
	bool cancelled; /* its source cancels it */
	bool ends_by_hand;

	unsigned char header[8];
	struct piece pieces[PIECES_MAX];
	size_t piece_count;
	uint64_t total;

	struct sluice_args *args; /* lives as long as the item where it may be cancelled */
	void *memory;             /* a copy of the bytes: scribbled over at the end */
	struct iovec *segments;
	struct sluice_packet *packets;
	struct sluice_async_result *result;
	item_fn *then; /* runs in the handler of a record */

	atomic_int ended; /* how often */
	bool refused;
	int32_t error;
	uint64_t bytes;
};

struct stream {
	struct sluice_socket *socket;
	unsigned index;
	int peer;
	bool ends_on_give_up;
	atomic_bool cancelled; /* all of it, at some time */
	struct item *items[SOURCES][ITEMS_MAX];
	unsigned counts[SOURCES];

	pthread_t reader;
	struct random random; /* the reader's */
	unsigned char *read;
	size_t read_length;
	size_t read_room;
	int read_error;
};

/* The bytes that everything is made of, and the files; once. */
void contents_prepare(uint64_t seed);

/* Operations that were accepted and have not ended. */
extern atomic_long outstanding;

/* A new item on the stream, put down in its source's list. */
struct item *item_new(struct stream *stream, unsigned source, struct random *random);

/* Starts it. */
void item_start(struct item *item);

/* Cancels it, wherever it is. */
void item_cancel(struct item *item);

/* Waits for the end of one that ends_by_hand, and Ends it. */
void item_end_by_hand(struct item *item);

/* The stream is what the results of its items say, once all of them have ended. */
void stream_check(const struct stream *stream);

/* The items of a stream, and what was read of it. */
void stream_free(struct stream *stream);

#endif
