/* SPDX-License-Identifier: MIT */
/*
 * Builds messages for the kernel from the datagrams at the head of a send queue. Adjacent datagrams
 * of one size to one destination, of which the last may be shorter, share one message that the
 * kernel segments (UDP_SEGMENT, called GSO); any other is a message by itself. Pure: no system
 * call, no change to the queue.
 */
#ifndef SLUICE_SRC_CORE_GSO_H
#define SLUICE_SRC_CORE_GSO_H

#include <netinet/udp.h>

#include "core/messages.h"
#include "core/record.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define SLUICE__GSO_MESSAGES 64u   /* in one sendmmsg, or one submission */
#define SLUICE__GSO_SEGMENTS 1024u /* of one message: the kernel's UIO_MAXIOV */

/* Datagrams in one message: every kernel with UDP_SEGMENT accepts this many, newer ones the larger. */
#define SLUICE__GSO_RECORDS 64u
#define SLUICE__GSO_RECORDS_MAX 128u
/* Bytes in one message: what remains beside the longest IPv4 header, and an IPv6 header. */
#define SLUICE__GSO_BYTES 65467u

/* What is at the head of the queue. */
enum {
	SLUICE__GSO_NOTHING,
	SLUICE__GSO_MEMORY,
	SLUICE__GSO_TOO_MANY, /* a record with more segments than one message can have */
	SLUICE__GSO_ALONE     /* no datagram, but a disconnect or a connect */
};

/* The records in one message. */
struct sluice__message {
	uint32_t records;
	uint32_t segment_bytes; /* of each but the last; 0: a datagram by itself */
	uint64_t bytes;
	bool plain; /* on success, each record only has to be published */
};

struct sluice__gso_batch {
	/* in */
	struct iovec *segments;
	uint32_t capacity;    /* of segments; enough for one message */
	uint32_t messages;    /* maximum, up to SLUICE__GSO_MESSAGES */
	uint32_t records;     /* maximum */
	uint32_t gso_bytes;   /* the largest datagrams that may be joined; 0: none */
	uint32_t gso_records; /* maximum in one message, up to SLUICE__GSO_RECORDS_MAX */
	/* out */
	uint32_t head;                 /* SLUICE__GSO_* */
	uint32_t used;                 /* segments */
	uint32_t joined;               /* messages of more than one record */
	struct sluice_args *last;      /* the last record in the batch */
	struct sluice__messages given; /* for the backend */
	struct sluice__message of[SLUICE__GSO_MESSAGES];
	struct mmsghdr headers[SLUICE__GSO_MESSAGES];
	union {
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
		size_t alignment;
	} control[SLUICE__GSO_MESSAGES];
	struct sluice__link link; /* in the pool */
};

/* Fills in the out members from the list of records that starts with head. */
void sluice__gso_plan(struct sluice_args *head, struct sluice__gso_batch *batch);

/*
 * One record as a message of its own: fills in header and segments (SLUICE__GSO_SEGMENTS of them).
 * False: the record has more segments.
 */
bool sluice__gso_single(const struct sluice_args *args, struct iovec *segments,
			struct msghdr *header);

/* The record's flags for send(2). */
static inline uint32_t sluice__gso_flags(const struct sluice_args *args)
{
	return args->run.op_flags & SLUICE__OP_DONT_ROUTE ? MSG_DONTROUTE : 0;
}

#endif
