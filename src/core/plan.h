/* SPDX-License-Identifier: MIT */
/* How the bytes are sent. Pure: facts in, a decision out. */
#ifndef SLUICE_SRC_CORE_PLAN_H
#define SLUICE_SRC_CORE_PLAN_H

#include <sluice/engine.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	SLUICE__PLAN_INLINE,  /* a non-blocking send(2) now */
	SLUICE__PLAN_SUBMIT,  /* a request: the ring sends, epoll waits for writability */
	SLUICE__PLAN_ZEROCOPY /* a zero-copy request */
};

/* Measured on this machine, in nanoseconds. All 0: not measured. */
struct sluice__costs {
	uint32_t call;  /* a send(2) of nothing */
	uint32_t enter; /* an io_uring_enter(2), without its entries */
	uint32_t entry; /* an empty entry: prepared, submitted and reaped */
};

/* State of the choice between one send(2) per socket and the ring. */
struct sluice__ways {
	struct sluice__costs costs;
	uint64_t submitted_before; /* statistics.submitted at the last submission */
	uint32_t flips;            /* for tests: turns until the choice is reversed; 0: by costs */
	uint32_t decisions;
};

struct sluice__plan_turn {
	bool ring;        /* the backend executes sends */
	bool entering;    /* the turn enters the kernel anyway: entries are waiting */
	uint32_t way;     /* SLUICE_TRANSMIT_WAY_* */
	uint32_t sockets; /* ready to send in this turn */
	struct sluice__costs costs;
};

/*
 * An IORING_OP_SEND costs the work of a send(2) plus that of an empty entry, and about as much
 * again in the kernel and here for looking up the file, preparing the message and settling the
 * completion: hence twice the cost of an empty entry. The ring saves one system call per socket.
 */
#define SLUICE__ENTRY_FACTOR 2

/* Whether a turn submits the sends of its sockets to the ring; otherwise one send(2) per socket. */
static inline bool sluice__plan_by_ring(const struct sluice__plan_turn *facts)
{
	uint64_t calls, entries, enter = facts->costs.enter;

	if (!facts->ring || facts->way != SLUICE_TRANSMIT_WAY_AUTO)
		return facts->ring && facts->way == SLUICE_TRANSMIT_WAY_RING;
	calls = (uint64_t)facts->sockets * facts->costs.call;
	entries = (uint64_t)facts->sockets * facts->costs.entry * SLUICE__ENTRY_FACTOR;
	/* It is a system call: a smaller measurement is noise. */
	if (enter < facts->costs.call)
		enter = facts->costs.call;
	if (!facts->entering)
		entries += enter;
	return entries < calls;
}

struct sluice__plan_memory {
	bool by_ring;  /* the result of sluice__plan_by_ring */
	bool full;     /* an inline send was short or got EAGAIN */
	bool zerocopy; /* eligible, and useful on this socket */
};

/* The plan for the memory of one socket. */
static inline int sluice__plan_memory(const struct sluice__plan_memory *facts)
{
	if (facts->zerocopy)
		return SLUICE__PLAN_ZEROCOPY;
	return facts->full || facts->by_ring ? SLUICE__PLAN_SUBMIT : SLUICE__PLAN_INLINE;
}

/* options.wait_budget_ns: the number of completions a turn waits for, derived from previous turns. */
struct sluice__plan_wait {
	uint32_t brought; /* completions of the previous turn */
	uint32_t count;   /* number for the next wait; 0: not known yet */
	uint32_t vain;    /* consecutive waits for several that brought at most one */
	uint32_t rest;    /* turns with completions until the next wait for several */
	uint32_t asked; /* completions that enter waits for; more than 1: no longer than it says */
};

/* Returns the number of completions to wait for; 1: wait as without a budget. */
uint32_t sluice__plan_wait(const struct sluice__plan_wait *facts, uint32_t armed);

/* Records the result of a wait. */
void sluice__plan_waited(struct sluice__plan_wait *facts, uint32_t asked, uint32_t brought);

enum {
	SLUICE__PLAN_SENDFILE,
	SLUICE__PLAN_READ,
	SLUICE__PLAN_SPLICE,
	SLUICE__PLAN_SPLICE_RING
};

struct sluice__plan_file {
	uint32_t way;      /* SLUICE_FILE_WAY_* */
	bool sendfile;     /* the capability */
	bool ring;         /* the ring can send a file through a pipe */
	bool copy;         /* SLUICE_TRANSMIT_COPY */
	bool joins_memory; /* the record has other elements */
	bool followed;     /* one of them follows it, so it cannot leave by itself */
	uint64_t count;
	uint64_t read_bytes; /* options.file_read_bytes */
};

int sluice__plan_file(const struct sluice__plan_file *facts);

#endif
