/* SPDX-License-Identifier: MIT */
/* Which way the bytes go. Pure: facts in, a decision out. */
#ifndef SLUICE_SRC_CORE_PLAN_H
#define SLUICE_SRC_CORE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SLUICE__PLAN_INLINE, /* a non-blocking send(2) now */
	SLUICE__PLAN_SUBMIT, /* an entry for the backend: the ring sends, epoll waits until it can */
	SLUICE__PLAN_ZEROCOPY /* an entry that sends without copying */
};

/* What this machine needs for one step, in nanoseconds. All 0: not measured. */
struct sluice__costs {
	uint32_t call;  /* a send(2) that finds nothing to do */
	uint32_t enter; /* an io_uring_enter(2), without its entries */
	uint32_t entry; /* an empty entry of the ring, prepared, submitted and reaped */
};

struct sluice__plan_turn {
	bool ring;        /* the backend sends by itself */
	bool entering;    /* the turn enters the kernel in any case: entries are waiting */
	uint32_t way;     /* SLUICE_TRANSMIT_WAY_* */
	uint32_t sockets; /* with something to send in this turn */
	struct sluice__costs costs;
};

/* Whether the memory of a turn's sockets goes by the ring; otherwise by a send(2) for each. */
bool sluice__plan_by_ring(const struct sluice__plan_turn *facts);

struct sluice__plan_memory {
	bool by_ring;  /* the turn's way */
	bool full;     /* the socket took less than it was given, last time */
	bool zerocopy; /* it fits, and the socket is for it */
};

/* The way of one socket's memory. */
static inline int sluice__plan_memory(const struct sluice__plan_memory *facts)
{
	if (facts->zerocopy)
		return SLUICE__PLAN_ZEROCOPY;
	return facts->full || facts->by_ring ? SLUICE__PLAN_SUBMIT : SLUICE__PLAN_INLINE;
}

enum {
	SLUICE__PLAN_SENDFILE,
	SLUICE__PLAN_READ,
	SLUICE__PLAN_SPLICE
};

struct sluice__plan_file {
	uint32_t way;      /* SLUICE_FILE_WAY_* */
	bool sendfile;     /* the capability */
	bool copy;         /* the record asks for it */
	bool joins_memory; /* something stands beside it in its record */
	uint64_t count;
	uint64_t read_bytes; /* options.file_read_bytes */
};

int sluice__plan_file(const struct sluice__plan_file *facts);

#endif
