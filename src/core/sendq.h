/* SPDX-License-Identifier: MIT */
/*
 * The send queue of one socket: records are pushed, gathered into transmissions, and settled by the
 * bytes that the kernel took. Pure: it makes no system call and knows neither engine nor socket, so it
 * is tested by tables.
 *
 *   push       O(1)
 *   prefilled  plain buffers are listed when they are pushed, small ones as copies; any other change
 *              of the queue drops the list
 *   gather     walks from the head and lists segments: copies of small records if they are allowed,
 *              and the callers' memory
 *   settle     moves records that were sent whole to the chain of completed records; a record that
 *              was sent in part keeps its remainder. O(1) for a plain transmission taken whole.
 */
#ifndef SLUICE_SRC_CORE_SENDQ_H
#define SLUICE_SRC_CORE_SENDQ_H

#include <string.h>

#include "core/packets.h"
#include "core/record_list.h"

struct sluice__sendq {
	struct sluice__list list;
	uint64_t bytes;          /* of memory, accepted and not yet taken by the kernel */
	struct iovec *prefilled; /* next free segment; NULL: nothing is prefilled */
};

#define SLUICE__PREFILLED 1024u
#define SLUICE__PREFILLED_BYTES (SLUICE__PREFILLED * sizeof(struct iovec))

/*
 * Largest plain record that is copied. A segment costs the kernel 20 to 30 ns, as much as copying some
 * 500 bytes.
 */
#define SLUICE__COPIED_MAX 256u

/* One copy per segment, so that copying never shortens a transmission. */
#define SLUICE__COPIES (SLUICE__PREFILLED * SLUICE__COPIED_MAX)

/*
 * Memory of an engine for prefilled segments. Segments that are adjacent in memory are merged. The array
 * is aligned to its own size, so that "none", "full" and "sealed" are one test of
 * sluice__sendq.prefilled.
 */
struct sluice__prefilled {
	struct iovec segments[SLUICE__PREFILLED] __attribute__((aligned(SLUICE__PREFILLED_BYTES)));
	char *next;               /* position of the next copy */
	struct sluice_args *last; /* sealed: last record listed; NULL: all records are */
	uint32_t count;           /* sealed: number of segments */
	uint32_t merged;          /* records without a segment of their own */
	/* The first COPIED_MAX bytes are reserved for the first record. */
	char copies[SLUICE__COPIED_MAX + SLUICE__COPIES] __attribute__((aligned(64)));
};

/* Kind of the next transmission, by the head of the queue. */
enum {
	SLUICE__GATHERED_NOTHING,
	SLUICE__GATHERED_MEMORY,
	SLUICE__GATHERED_FILE,      /* the head's current part is a file */
	SLUICE__GATHERED_BEYOND,    /* the head's range exceeds its file */
	SLUICE__GATHERED_DISCONNECT /* the head is a disconnect */
};

struct sluice__gather {
	/* in */
	struct iovec *segments;
	uint32_t capacity; /* of segments */
	uint64_t budget;   /* bytes */
	char *copies;      /* memory for copies of small records; NULL: do not copy */
	char *copies_end;
	/* out */
	uint32_t what;
	uint32_t count;   /* segments used */
	uint32_t flags;   /* for send(2): MSG_MORE, MSG_OOB, MSG_DONTROUTE */
	uint32_t records; /* touched */
	uint64_t bytes;
	struct sluice_args *last; /* the last record touched */
	bool plain;               /* all records are whole and have no op_flags: settles in O(1) */
};

/* A transmission in flight: head..last of the queue. */
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

static inline bool sluice__sendq_is_empty(const struct sluice__sendq *queue)
{
	return !queue->list.head;
}

static inline bool sluice__sendq_is_prefilled(const struct sluice__sendq *queue)
{
	return queue->prefilled;
}

/* Other threads read the counter: a relaxed store costs no more than a plain one. */
static inline void sluice__sendq_count(struct sluice__sendq *queue, uint64_t bytes)
{
	__atomic_store_n(&queue->bytes, bytes, __ATOMIC_RELAXED);
}

/* The only record was sent whole. */
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

/* The caller counts the bytes, because only memory counts. */
static inline void sluice__sendq_push(struct sluice__sendq *queue, struct sluice_args *args)
{
	sluice__sendq_drop_prefilled(queue);
	sluice__list_push(&queue->list, args);
}

static inline struct sluice__prefilled *sluice__sendq_prefilled(const struct sluice__sendq *queue)
{
	return (void *)((uintptr_t)queue->prefilled & ~(SLUICE__PREFILLED_BYTES - 1));
}

/* Whether the queue is prefilled and has a free segment. */
static inline bool sluice__sendq_is_listed(const struct sluice__sendq *queue)
{
	return (uintptr_t)queue->prefilled & (SLUICE__PREFILLED_BYTES - 1);
}

/* Ends prefilling before the record that was pushed last, which did not fit. */
void sluice__sendq_seal(struct sluice__sendq *queue);

/*
 * Pushes a plain buffer to a prefilled queue, and copies it. Returns 1, the result of a start, so that
 * the caller can end with a tail call.
 */
int sluice__sendq_push_copied(struct sluice__sendq *queue, struct sluice_args *args);

/* Pushes a plain buffer to a prefilled queue. Returns 1. */
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

/* Pushes a plain buffer to a queue that is not prefilled, or full, or sealed. */
static inline void sluice__sendq_push_unlisted(struct sluice__sendq *queue,
					       struct sluice_args *args)
{
	sluice__list_push(&queue->list, args);
	if (queue->prefilled)
		sluice__sendq_seal(queue);
}

/* Begins prefilling with the only record of the queue, which is plain. */
void sluice__sendq_begin_prefilled(struct sluice__sendq *queue,
				   struct sluice__prefilled *prefilled);

/*
 * Ends prefilling. Returns true, and the prefilled segments as if they had been gathered, if there are
 * any within the budget.
 */
bool sluice__sendq_take_prefilled(struct sluice__sendq *queue, struct sluice__gather *gather);

/* Bytes of the record's memory that are still queued. */
uint64_t sluice__sendq_memory(const struct sluice_args *args);

/* Unsent bytes of the record before its next file. */
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

/* Moves head..last to done: records without op_flags, which were sent whole. */
static inline void sluice__sendq_finish_plain(struct sluice__sendq *queue, struct sluice_args *last,
					      uint64_t records, uint64_t bytes,
					      struct sluice__chain *done)
{
	struct sluice_args *first = queue->list.head;

	sluice__list_cut(&queue->list, last);
	sluice__sendq_count(queue, queue->bytes - bytes);
	sluice__chain_splice(done, first, last, records);
}

/* sluice__sendq_settle of a plain flight taken whole. False: it is not, and nothing was changed. */
static inline bool sluice__sendq_settle_plain(struct sluice__sendq *queue,
					      const struct sluice__flight *flight, uint64_t taken,
					      struct sluice__chain *done)
{
	if (unlikely(!flight->plain || taken != flight->bytes || queue->list.head->run.sent))
		return false;
	sluice__sendq_drop_prefilled(queue);
	sluice__sendq_finish_plain(queue, flight->last, flight->records, taken, done);
	return true;
}

/* The kernel took so many bytes of a list, less than all: moves its position. */
void sluice__sendq_advance_list(struct sluice_args *args, uint64_t taken);

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
