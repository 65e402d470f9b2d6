/* SPDX-License-Identifier: MIT */
/*
 * The send queue of one socket: many records in, one transmission out, bytes settled back. Pure: it
 * makes no system call and knows neither engine nor socket, so its tests are tables.
 *
 *   push    O(1)
 *   prefilled   whole plain buffers are listed already when they are pushed, and small ones copied;
 *           whatever disturbs the queue otherwise drops it
 *   gather  walks from the head and lists the bytes, those of small records as copies if that is
 *           allowed, all others straight from the callers' memory
 *   settle  says how many of them the kernel took: whole records leave for the chain of the done,
 *           a broken one keeps its rest. A plain transmission that was taken whole is O(1).
 */
#ifndef SLUICE_SRC_CORE_SENDQ_H
#define SLUICE_SRC_CORE_SENDQ_H

#include <string.h>

#include "core/packets.h"
#include "core/record_list.h"

struct sluice__sendq {
	struct sluice__list list;
	uint64_t bytes;          /* of memory, accepted and not yet taken */
	struct iovec *prefilled; /* where the next segment is listed; NULL: nothing is prefilled */
};

#define SLUICE__PREFILLED 1024u
#define SLUICE__PREFILLED_BYTES (SLUICE__PREFILLED * sizeof(struct iovec))

/*
 * A whole plain record of at most so many bytes is copied: the kernel needs 20 to 30 ns for a segment
 * of its own, which is what it takes to copy some 500 bytes.
 */
#define SLUICE__COPIED_MAX 256u

/* For as many of them as there are segments: copies never make a transmission shorter. */
#define SLUICE__COPIES (SLUICE__PREFILLED * SLUICE__COPIED_MAX)

/*
 * An engine's memory for what is listed before it is gathered. Segments that are adjacent in memory,
 * copies or not, are one. The segments are aligned to their own size, so that "none", "full" and "sealed"
 * are one test of sluice__sendq.prefilled.
 */
struct sluice__prefilled {
	struct iovec segments[SLUICE__PREFILLED] __attribute__((aligned(SLUICE__PREFILLED_BYTES)));
	char *next;               /* where the next copy goes */
	struct sluice_args *last; /* sealed: the last record that is listed; NULL: all are */
	uint32_t count;           /* sealed: segments */
	uint32_t merged;          /* records that have no segment of their own */
	/* From COPIED_MAX on: before them is space for the first record. */
	char copies[SLUICE__COPIED_MAX + SLUICE__COPIES] __attribute__((aligned(64)));
};

/* What stands at the head, and so what kind of transmission comes next. */
enum {
	SLUICE__GATHERED_NOTHING,
	SLUICE__GATHERED_MEMORY,
	SLUICE__GATHERED_FILE,      /* the head's current part is a file */
	SLUICE__GATHERED_BEYOND,    /* the head asks for more than its file has */
	SLUICE__GATHERED_DISCONNECT /* the head is a disconnect */
};

struct sluice__gather {
	/* in */
	struct iovec *segments;
	uint32_t room;   /* segments */
	uint64_t budget; /* bytes */
	char *copies;    /* where small records may be copied; NULL: not at all */
	char *copies_end;
	/* out */
	uint32_t what;
	uint32_t count;   /* segments used */
	uint32_t flags;   /* for send(2): MSG_MORE, MSG_OOB, MSG_DONTROUTE */
	uint32_t records; /* touched */
	uint64_t bytes;
	struct sluice_args *last; /* the last record touched */
	bool plain;               /* every record whole and without op_flags: settles in O(1) */
};

/* A transmission that the kernel has been given: head..last of the queue. */
struct sluice__flight {
	struct sluice_args *last;
	uint64_t bytes;
	uint32_t records;
	bool plain;
};

static inline void sluice__sendq_init(struct sluice__sendq *queue)
{
	sluice__list_init(&queue->list);
	queue->bytes = 0;
	queue->prefilled = NULL;
}

static inline struct sluice_args *sluice__sendq_head(const struct sluice__sendq *queue)
{
	return queue->list.head;
}

/* Other threads look at the count: an atomic that costs no more than a plain member. */
static inline void sluice__sendq_count(struct sluice__sendq *queue, uint64_t bytes)
{
	__atomic_store_n(&queue->bytes, bytes, __ATOMIC_RELAXED);
}

/* The only record has been taken whole. */
static inline void sluice__sendq_clear(struct sluice__sendq *queue)
{
	sluice__list_init(&queue->list);
	sluice__sendq_count(queue, 0);
	queue->prefilled = NULL;
}

static inline void sluice__sendq_drop_prefilled(struct sluice__sendq *queue)
{
	queue->prefilled = NULL;
}

/* Its bytes are counted by the caller, who knows whether they are memory. */
static inline void sluice__sendq_push(struct sluice__sendq *queue, struct sluice_args *args)
{
	sluice__sendq_drop_prefilled(queue);
	sluice__list_push(&queue->list, args);
}

static inline struct sluice__prefilled *sluice__sendq_prefilled(const struct sluice__sendq *queue)
{
	return (void *)((uintptr_t)queue->prefilled & ~(SLUICE__PREFILLED_BYTES - 1));
}

/* Whether the queue is listed as it is pushed, and there is a segment left. */
static inline bool sluice__sendq_is_listed(const struct sluice__sendq *queue)
{
	return (uintptr_t)queue->prefilled & (SLUICE__PREFILLED_BYTES - 1);
}

/* The record that was just pushed does not fit: what is listed, if anything is, goes without it. */
void sluice__sendq_seal(struct sluice__sendq *queue);

/*
 * A whole plain buffer, which is copied, to a queue that is listed. Always 1: the answer of a start,
 * which can end with this call.
 */
int sluice__sendq_push_copied(struct sluice__sendq *queue, struct sluice_args *args);

/* A whole plain buffer, to a queue that is listed. 1. */
static inline int sluice__sendq_push_listed(struct sluice__sendq *queue, struct sluice_args *args)
{
	struct iovec *next = queue->prefilled, *before = next - 1;

	if ((uintptr_t)before->iov_base + before->iov_len == (uintptr_t)args->run.base) {
		sluice__list_push(&queue->list, args);
		before->iov_len += args->run.total;
		sluice__sendq_prefilled(queue)->merged++;
		return 1;
	}
	if (args->run.total <= SLUICE__COPIED_MAX)
		return sluice__sendq_push_copied(queue, args);
	sluice__list_push(&queue->list, args);
	next->iov_base = (void *)(uintptr_t)args->run.base;
	next->iov_len = args->run.total;
	queue->prefilled = next + 1;
	return 1;
}

/* A whole plain buffer, to a queue that is not listed, or of which no more can be. */
static inline void sluice__sendq_push_unlisted(struct sluice__sendq *queue,
					       struct sluice_args *args)
{
	sluice__list_push(&queue->list, args);
	sluice__sendq_seal(queue);
}

/* The only record, which is plain, is the first that is listed. */
void sluice__sendq_begin_prefilled(struct sluice__sendq *queue,
				   struct sluice__prefilled *prefilled);

/*
 * What is listed, if anything is and it is within the budget, as what was gathered, in the segments of
 * the prefilled. Nothing is listed any more either way.
 */
bool sluice__sendq_take_prefilled(struct sluice__sendq *queue, struct sluice__gather *gather);

/* Bytes of memory that the record still holds in the queue. */
uint64_t sluice__sendq_memory(const struct sluice_args *args);

/* Bytes of the record that go out before a file of its, taken or not by the last gather. */
uint64_t sluice__sendq_unsent(const struct sluice_args *args);

/* Takes a record out, wherever it stands. Its rest no longer counts. */
void sluice__sendq_remove(struct sluice__sendq *queue, struct sluice_args *args);

/* Fills in the out members. Changes nothing in the queue. */
void sluice__sendq_gather(const struct sluice__sendq *queue, struct sluice__gather *gather);

/*
 * The kernel took `taken` bytes of the flight: finished records move to done, in order. Returns how
 * many. A finished record whose op_flags say that something follows it (END) is the last to move.
 */
uint32_t sluice__sendq_settle(struct sluice__sendq *queue, const struct sluice__flight *flight,
			      uint64_t taken, struct sluice__chain *done);

/*
 * The same, where nothing about it is unusual: false when it is, and nothing was changed.
 */
static inline bool sluice__sendq_settle_plain(struct sluice__sendq *queue,
					      const struct sluice__flight *flight, uint64_t taken,
					      struct sluice__chain *done)
{
	struct sluice_args *first = queue->list.head;

	if (unlikely(!flight->plain || taken != flight->bytes || first->run.sent))
		return false;
	sluice__sendq_drop_prefilled(queue);
	sluice__list_cut(&queue->list, flight->last);
	sluice__sendq_count(queue, queue->bytes - taken);
	sluice__chain_splice(done, first, flight->last, flight->records);
	return true;
}

/* The file at the head's current part gave `taken` bytes. True when the record is finished (and stays). */
bool sluice__sendq_advance_file(struct sluice_args *args, uint64_t taken);

/* Moves the head to done, with this result. */
void sluice__sendq_finish_head(struct sluice__sendq *queue, struct sluice__chain *done,
			       int32_t error, int32_t native, uint64_t bytes);

/*
 * Ends everything: the head with error and native and the bytes it has sent, the others with
 * rest_error and rest_native and none. Returns how many.
 */
uint32_t sluice__sendq_fail(struct sluice__sendq *queue, int32_t error, int32_t native,
			    int32_t rest_error, int32_t rest_native, struct sluice__chain *done);

#endif
