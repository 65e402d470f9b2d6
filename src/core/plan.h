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

struct sluice__plan_memory {
	bool ring;     /* the backend sends by itself */
	bool full;     /* the socket took less than it was given, last time */
	uint32_t way;  /* SLUICE_TRANSMIT_WAY_* */
	bool zerocopy; /* it fits, and the socket is for it */
};

int sluice__plan_memory(const struct sluice__plan_memory *facts);

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
