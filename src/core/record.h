/* SPDX-License-Identifier: MIT */
/*
 * The internals of a record. One word has its state: run.owner is the socket it is in progress on,
 * with two flags in the lower bits of the pointer. Another thread tests "in progress on this
 * socket?" and marks the record cancelled in one compare-and-swap. The engine's thread writes the
 * word with plain stores: a send costs no locked instruction.
 */
#ifndef SLUICE_SRC_CORE_RECORD_H
#define SLUICE_SRC_CORE_RECORD_H

#include <sluice/args.h>
#include <sluice/error.h>
#include <stdbool.h>

#include "base/queue.h"
#include "base/wheel.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Flags in the lower bits of run.owner. */
#define SLUICE__IN_PROGRESS ((uintptr_t)1)
#define SLUICE__CANCELLED ((uintptr_t)2)
#define SLUICE__OWNER_BITS ((uintptr_t)63)

/*
 * run.op_flags: deviations from the fast path. 0: a plain buffer on a stream. LIST stays set as
 * long as the record has a list; the others are valid for one operation.
 */
enum {
	SLUICE__OP_LIST = 1 << 0,
	SLUICE__OP_DEADLINE = 1 << 1,    /* armed in the wheel */
	SLUICE__OP_HAS_RESULT = 1 << 2,  /* see sluice__record_result */
	SLUICE__OP_PARTIAL = 1 << 3,     /* a short send completes it */
	SLUICE__OP_MORE = 1 << 4,        /* MSG_MORE: more data follows */
	SLUICE__OP_OUT_OF_BAND = 1 << 5, /* the last byte is urgent */
	SLUICE__OP_DONT_ROUTE = 1 << 6,
	SLUICE__OP_PACKETS = 1 << 7, /* memory and files; rare.side is a struct sluice__packets */
	/* no data: shuts the sending side down in its turn, or changes a datagram socket's peer */
	SLUICE__OP_DISCONNECT = 1 << 8,
	SLUICE__OP_THEN_DISCONNECT = 1 << 9, /* a disconnect follows its last byte */
	SLUICE__OP_REUSE = 1 << 10,          /* of a disconnect: the socket may connect again */
	SLUICE__OP_HAS_ADDRESS = 1 << 11,    /* a datagram with its own destination */
	SLUICE__OP_PEEK = 1 << 12,
	SLUICE__OP_OVERDUE = 1 << 13,    /* the deadline passed while the record was in flight */
	SLUICE__OP_LEFT_QUEUE = 1 << 15, /* not in a queue any more: too late to cancel */
	SLUICE__OP_TRUNCATED = 1 << 16,  /* the datagram was larger than the buffer */
	SLUICE__OP_HANDSHAKE = 1 << 17,  /* a connect that is a filter's handshake */
	SLUICE__OP_OF_THREAD = 1 << 20,  /* cancelled when the thread rare.thread exits */
	SLUICE__OP_UNGATHERED = SLUICE__OP_OUT_OF_BAND | SLUICE__OP_DONT_ROUTE |
				SLUICE__OP_DISCONNECT | SLUICE__OP_HAS_ADDRESS
};

/* run.count of a buffer that is writable: receives are allowed. */
#define SLUICE__WRITABLE 1

static inline struct sluice_socket *sluice__record_socket(const struct sluice_args *args)
{
	return (struct sluice_socket *)(__atomic_load_n(&args->run.owner, __ATOMIC_RELAXED) &
					~SLUICE__OWNER_BITS);
}

static inline uintptr_t sluice__record_owner(const struct sluice_args *args)
{
	return __atomic_load_n(&args->run.owner, __ATOMIC_ACQUIRE);
}

static inline bool sluice__record_cancelled(const struct sluice_args *args)
{
	return __atomic_load_n(&args->run.owner, __ATOMIC_RELAXED) & SLUICE__CANCELLED;
}

/* Marked for cancellation: cancelled or overdue. */
static inline bool sluice__record_marked(const struct sluice_args *args)
{
	return sluice__record_cancelled(args) || (args->run.op_flags & SLUICE__OP_OVERDUE);
}

static inline bool sluice__record_disposed(const struct sluice_args *args)
{
	return __atomic_load_n(&args->run.disposed, __ATOMIC_RELAXED);
}

/* From here on the library owns the record, until its handler runs or its start returns 0. */
static inline void sluice__record_accept(struct sluice_args *args, struct sluice_socket *socket,
					 uint32_t operation)
{
	static const struct {
		int32_t error, native_error;
		uint64_t bytes_transferred;
	} pending = {SLUICE_ERROR_IO_PENDING, 0, 0};

	/* Three adjacent members in one store. */
	_Static_assert(offsetof(struct sluice_args, bytes_transferred) ==
			       offsetof(struct sluice_args, error) + 8,
		       "adjacent members");
	sluice__assert(!__atomic_load_n(&args->run.owner, __ATOMIC_RELAXED));
	sluice__assert(((uintptr_t)socket & SLUICE__OWNER_BITS) == 0);
	__builtin_memcpy(&args->error, &pending, sizeof pending);
	args->last_operation = operation;
	__atomic_store_n(&args->run.owner, (uintptr_t)socket | SLUICE__IN_PROGRESS,
			 __ATOMIC_RELEASE);
}

/* Returns the record to the application. */
static inline void sluice__record_release(struct sluice_args *args)
{
	sluice__assert(__atomic_load_n(&args->run.owner, __ATOMIC_RELAXED) & SLUICE__IN_PROGRESS);
	__atomic_store_n(&args->run.owner, 0, __ATOMIC_RELEASE);
}

/*
 * The result of a record that has left its queue and is not a plain success. The public members
 * show IOPending until the record is released, so the result is kept in members that only a queued
 * record uses.
 */
static inline void sluice__record_result(struct sluice_args *args, int32_t error, int32_t native,
					 uint64_t bytes)
{
	args->run.sent = bytes;
	args->rare.segment_offset = (uint64_t)(uint32_t)error << 32 | (uint32_t)native;
	args->run.op_flags |= SLUICE__OP_HAS_RESULT | SLUICE__OP_LEFT_QUEUE;
}

/*
 * Copies the address of a send_to, connect or receive_from: the caller may change the public
 * members after the start. It is kept in members that only packets and the lists of streams use.
 */
static inline void sluice__record_keep_address(struct sluice_args *args, const void *address,
					       socklen_t length)
{
	args->rare.side = (void *)(uintptr_t)address;
	args->rare.segment_index = length;
}

static inline void *sluice__record_address(const struct sluice_args *args)
{
	return args->rare.side;
}

static inline socklen_t sluice__record_address_length(const struct sluice_args *args)
{
	return args->rare.segment_index;
}

static inline struct sluice__wheel_node *sluice__record_timer(struct sluice_args *args)
{
	return (struct sluice__wheel_node *)(void *)args->rare.timer;
}

/* Keeps the timeout in the timer node until the deadline is armed. */
static inline void sluice__record_keep_timeout(struct sluice_args *args, int64_t timeout_ns)
{
	sluice__record_timer(args)->expires_ns = (uint64_t)timeout_ns;
}

static inline uint64_t sluice__record_timeout(struct sluice_args *args)
{
	return sluice__record_timer(args)->expires_ns;
}

static inline struct sluice_args *sluice__record_of_timer(struct sluice__wheel_node *node)
{
	return (struct sluice_args *)((char *)node - offsetof(struct sluice_args, rare.timer));
}

/* The record's link in a mailbox. */
static inline struct sluice__link *sluice__record_link(struct sluice_args *args)
{
	_Static_assert(sizeof args->run.next == sizeof(struct sluice__link), "one pointer");
	return (struct sluice__link *)(void *)&args->run.next;
}

static inline struct sluice_args *sluice__record_of_link(struct sluice__link *link)
{
	return sluice__element(link, struct sluice_args, run.next);
}

#endif
