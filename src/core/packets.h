/* SPDX-License-Identifier: MIT */
/*
 * What a send_packets is made of once it is accepted: a pooled side structure of the record, one
 * part for each element that is not empty. Paths have become descriptors, counts are resolved, and
 * a small file that was read has become memory.
 */
#ifndef SLUICE_SRC_CORE_PACKETS_H
#define SLUICE_SRC_CORE_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct sluice_args;
struct sluice_engine;

enum {
	SLUICE__PART_MEMORY, /* the caller's: counts as queued bytes */
	SLUICE__PART_READ,   /* ours: a small file's contents */
	SLUICE__PART_FILE
};

struct sluice__part {
	uint8_t kind;
	bool ours;        /* we opened fd */
	bool beyond;      /* past the file's end */
	int32_t fd;       /* _FILE, and _READ while ours */
	const char *base; /* _MEMORY, _READ */
	uint64_t offset;  /* _FILE */
	uint64_t count;
	uint64_t identity; /* _FILE: which file, for the memory of looks; 0 unknown */
	uint64_t device;   /* _FILE: its file system; 0 not known yet */
};

#define SLUICE__PARTS_INLINE 4

struct sluice__packets {
	struct sluice__link link; /* in the pool */
	struct sluice__part *parts;
	uint32_t capacity; /* of parts */
	uint32_t count;
	uint32_t index;   /* the part that is being sent */
	bool opened;      /* some descriptor is ours */
	bool beyond;      /* some part is past its file's end: fails in its turn, sends nothing */
	bool cold;        /* the part was looked at, and is not in the page cache */
	bool copy;        /* SLUICE_TRANSMIT_COPY */
	uint64_t at;      /* bytes of that part that are gone */
	uint64_t warm_to; /* of that part: up to here it was found in, or brought into, the cache */
	uint64_t memory;  /* bytes of memory parts, all */
	char *bounce;     /* pooled memory with small files that were read */
	uint32_t bounce_used;
	struct sluice__part inline_parts[SLUICE__PARTS_INLINE];
};

static inline bool sluice__packets_done(const struct sluice__packets *packets)
{
	return packets->index == packets->count;
}

/* The part that is sent now; only while not done. */
static inline struct sluice__part *sluice__packets_part(struct sluice__packets *packets)
{
	return &packets->parts[packets->index];
}

#endif
