/* SPDX-License-Identifier: MIT */
/*
 * Datagrams from the head of a send queue, as messages for the kernel. Adjacent ones of one size to
 * one destination, of which the last may be shorter, make one message that the kernel cuts up again
 * (UDP_SEGMENT, called GSO); any other is a message by itself. Pure: it makes no system call and
 * changes nothing in the queue, so its tests are tables.
 */
#ifndef SLUICE_SRC_CORE_GSO_H
#define SLUICE_SRC_CORE_GSO_H

#include <netinet/udp.h>

#include "backend/backend.h"
#include "core/record.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define SLUICE__GSO_MESSAGES 64u   /* in one sendmmsg, or one submission */
#define SLUICE__GSO_SEGMENTS 1024u /* of one message: the kernel's UIO_MAXIOV */

/* What one message may hold: every kernel that can do it takes so many datagrams, ... */
#define SLUICE__GSO_RECORDS 64u
/* ... and so many bytes fit beside the longest of IPv4's headers, and IPv6's. */
#define SLUICE__GSO_BYTES 65467u

/* What stands at the head. */
enum {
	SLUICE__GSO_NOTHING,
	SLUICE__GSO_MEMORY,
	SLUICE__GSO_TOO_MANY, /* the head has more segments than one message takes */
	SLUICE__GSO_ALONE     /* the head is no datagram: a disconnect, a connect */
};

/* The records that one message is made of. */
struct sluice__message {
	uint32_t records;
	uint32_t segment_bytes; /* of each but the last; 0: a datagram by itself */
	uint64_t bytes;
	bool plain; /* no record needs more than its result when all of it went well */
};

struct sluice__gso_batch {
	/* in */
	struct iovec *segments;
	uint32_t room;      /* segments; enough for one message */
	uint32_t messages;  /* at most, up to SLUICE__GSO_MESSAGES */
	uint32_t records;   /* at most */
	uint32_t gso_bytes; /* the largest datagrams that may be joined; 0: none */
	/* out */
	uint32_t what;
	uint32_t used;                 /* segments */
	uint32_t joined;               /* messages of more than one record */
	struct sluice_args *last;      /* the last record touched */
	struct sluice__messages given; /* for the backend */
	struct sluice__message of[SLUICE__GSO_MESSAGES];
	struct mmsghdr headers[SLUICE__GSO_MESSAGES];
	union {
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
		size_t alignment;
	} control[SLUICE__GSO_MESSAGES];
	struct sluice__link link; /* in the pool */
};

/* Fills in the out members from the records of the list that begins with head. */
void sluice__gso_plan(struct sluice_args *head, struct sluice__gso_batch *batch);

/*
 * One record as a message of its own: fills in segments, which has room for one message, and the
 * header. False: it has too many of them.
 */
bool sluice__gso_single(const struct sluice_args *args, struct iovec *segments,
			struct msghdr *header);

/* Its flags for send(2). */
static inline uint32_t sluice__gso_flags(const struct sluice_args *args)
{
	return args->run.op_flags & SLUICE__OP_DONT_ROUTE ? MSG_DONTROUTE : 0;
}

#endif
