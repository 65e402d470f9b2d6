/* SPDX-License-Identifier: MIT */
/*
 * A socket's filter: the handshake as an operation, and sends and receives through it.
 *
 * The send queue holds the application's bytes as without a filter. In a turn the bytes at its head
 * are sealed, a batch at a time, and the output is offered to the kernel. A byte of the queue is
 * settled when the kernel has the output it went into, so results, marks and deadlines need nothing
 * of their own. `owed` are the bytes at the head of the queue that are sealed and not yet settled.
 */
#ifndef SLUICE_SRC_FILTER_FILTER_H
#define SLUICE_SRC_FILTER_FILTER_H

#include <sluice/filter.h>

#include "engine/socket.h"

/* Bytes of one batch: a multiple of a TLS record, and less than a send buffer. */
#define SLUICE__SEAL_MAX (UINT64_C(128) << 10)

struct sluice__gather;

struct sluice__filter {
	struct sluice_filter calls;
	uint64_t owed;
	uint32_t flags; /* for send(2), of the output */
	bool cut;       /* a record of the batch was given up: the others are settled all at once */
	bool opened;    /* the handshake succeeded */
	bool ended;     /* the end of the stream is sealed */
};

static inline bool sluice__is_filtered(const struct sluice_socket *socket)
{
	return sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED;
}

static inline bool sluice__sends_filtered(const struct sluice_socket *socket)
{
	return sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED_SENDS;
}

static inline struct sluice__filter *sluice__filter_of(const struct sluice_socket *socket)
{
	return socket->marks->filter;
}

/* socket/handshake.c: its record is accepted; the socket became readable or writable. */
int sluice__filter_begin(struct sluice_socket *socket, struct sluice_args *args);
void sluice__filter_step(struct sluice_socket *socket);

/* send/filtered.c: offers the output to the kernel. False: some is left, and the socket waits, or has failed. */
bool sluice__filter_flush(struct sluice_socket *socket);
/* The same if the queue is empty: output that no record waits for. */
void sluice__filter_flush_idle(struct sluice_socket *socket);
/* Seals what was gathered at the head of the queue and sends it. False: the socket waits. */
bool sluice__filter_send(struct sluice_socket *socket, const struct sluice__gather *gathered);
/* The same for a slice of the file at the head. */
bool sluice__filter_send_slice(struct sluice_socket *socket, const struct iovec *slice,
			       uint32_t flags, bool last);
/* The end of the stream. False: the socket waits until the kernel takes it. */
bool sluice__filter_end(struct sluice_socket *socket);

/* The next transmission of the socket offers output, if there is some. */
void sluice__filter_offer(struct sluice_socket *socket);
/* Whether the record's next bytes are a file's. */
bool sluice__filter_is_file(const struct sluice_args *args);

/*
 * A record leaves the queue before its end. How many of its bytes are sealed, and go out all the
 * same.
 */
uint64_t sluice__filter_forget(struct sluice_socket *socket, const struct sluice_args *args);
/* All records leave the queue. */
void sluice__filter_forget_all(struct sluice_socket *socket);
/* Before FIN, as far as the kernel takes it at once. */
void sluice__filter_goodbye(struct sluice_socket *socket);

/* Bytes, 0 at the end, or -errno, as a receive of the backend answers. */
int64_t sluice__filter_receive(struct sluice_socket *socket, const struct iovec *segments,
			       size_t count, uint32_t flags);
bool sluice__filter_pending(const struct sluice_socket *socket);

void sluice__filter_free(struct sluice_socket *socket);

#endif
