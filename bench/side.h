/* SPDX-License-Identifier: MIT */
/*
 * One side of a comparison: does a load in its own way. Every way is a file of its own behind this
 * interface (side-*.c), so that another peer is another file and a line in a table of scenarios.
 */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include <stddef.h>
#include <stdint.h>

#include <sluice/engine.h>

#include "net.h"

/* What has to be done once, and what to do it with. Both sides of a pair get the same load. */
struct load {
	const struct receiver *receiver; /* where the sockets lead to */
	size_t sockets;
	size_t records;      /* sent in one go; record i goes to socket i % sockets */
	size_t record_bytes; /* of each record */
	int file_fd;         /* a file to send instead of records, if file_bytes is not 0 */
	uint64_t file_bytes;
	const struct sluice_options *options; /* for engines of ours */
};

struct side {
	const char *name;

	/* Does the load this many times. Returns when the kernel has taken the last byte. */
	void (*run)(struct side *side, uint64_t times);

	/* System calls made since the side was created. */
	uint64_t (*system_calls)(struct side *side);

	/* The sluice engine behind the side, for its statistics; NULL for everything else. */
	struct sluice_engine *engine;

	void (*destroy)(struct side *side);
};

/* Makes a side with its own sockets. The load is copied; what it points to outlives the side. */
typedef struct side *side_create_fn(const struct load *load);

/*
 * Zeroed memory from a page's begin: a record of 64 bytes that lies across two cache lines makes a
 * gathered send 15 % slower, which must not depend on where malloc happens to be. Ends the program
 * where there is none; free() it.
 */
void *side_allocate(size_t count, size_t bytes);

/* The peers. */
side_create_fn side_send_create;     /* send(2) for each record */
side_create_fn side_gather_create;   /* one sendmsg(2) for all records: the limit */
side_create_fn side_sendfile_create; /* sendfile(2), poll(2) when the socket is full */

/* Ours. */
side_create_fn side_sluice_eager_create; /* each record started by itself, outside of batches */
side_create_fn side_sluice_batch_create; /* all records between batch_begin and batch_end */
side_create_fn side_sluice_file_create;  /* send_packets of one descriptor element */

#endif
