/* SPDX-License-Identifier: MIT */
/* What a backend is given to send several datagrams at once; core/gso.c builds it. */
#ifndef SLUICE_SRC_CORE_MESSAGES_H
#define SLUICE_SRC_CORE_MESSAGES_H

#include <stdint.h>
#include <sys/socket.h>

/* Messages of one socket; each is one datagram, or several of one size that the kernel segments. */
struct sluice__messages {
	struct mmsghdr *headers;
	uint32_t count;
	uint32_t flags; /* for send(2) */
	uint32_t taken; /* out: number of messages sent */
	int32_t error;  /* out: errno of the next message; 0: not known */
};

#endif
