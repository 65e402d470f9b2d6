/* SPDX-License-Identifier: MIT */
/*
 * The pooled side structure of an accepted send_packets, with one part for each nonempty element.
 * Paths are opened and counts are resolved; the contents of a small file that was read are memory.
 */
#ifndef SLUICE_SRC_CORE_PACKETS_H
#define SLUICE_SRC_CORE_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct sluice_args;
struct sluice_engine;

enum {
	SLUICE__PART_MEMORY, /* the caller's memory: counts as queued bytes */
	SLUICE__PART_READ,   /* the contents of a small file, in pooled memory */
	SLUICE__PART_FILE
};

struct sluice__part {
	uint8_t kind;
	bool ours;        /* the library opened fd, and closes it */
	bool beyond;      /* extends past the end of the file */
	int32_t fd;       /* _FILE; _READ if ours */
	const char *base; /* _MEMORY, _READ */
	uint64_t offset;  /* _FILE */
	uint64_t count;
	uint64_t identity; /* _FILE: key of the file in the page-cache memory; 0: unknown */
	uint64_t device;   /* _FILE: device number of the file system; 0: not known yet */
};

#define SLUICE__PARTS_INLINE 4

struct sluice__packets {
	struct sluice__link link; /* in the pool */
	struct sluice__part *parts;
	uint32_t capacity; /* of parts */
	uint32_t count;
	uint32_t index; /* the part being sent */
	bool opened;    /* some part is ours */
	bool beyond;    /* some part is beyond: the record fails in its turn and sends nothing */
	bool uncached;  /* the part was probed and is not in the page cache */
	bool copy;      /* SLUICE_TRANSMIT_COPY */
	bool by_calls;  /* the ring has refused to send a part */
	uint8_t way;    /* of the last slice: SLUICE__PLAN_SENDFILE, _READ, _SPLICE, _SPLICE_RING */
	uint64_t at;    /* bytes of the part already sent */
	uint64_t cached_to; /* end of the part's range known to be in the page cache */
	uint64_t memory;    /* bytes of all memory parts */
	char *bounce;       /* pooled block with the contents of small files */
	uint32_t bounce_used;
	struct sluice__part inline_parts[SLUICE__PARTS_INLINE];
};

static inline bool sluice__packets_done(const struct sluice__packets *packets)
{
	return packets->index == packets->count;
}

/* The part being sent; not if done. */
static inline struct sluice__part *sluice__packets_part(struct sluice__packets *packets)
{
	return &packets->parts[packets->index];
}

#endif
