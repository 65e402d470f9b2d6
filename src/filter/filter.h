/* SPDX-License-Identifier: MIT */
/*
 * A socket's filter: the handshake as an operation, and sends and receives through it.
 *
 * The send queue holds the application's bytes, as without a filter. In each turn the bytes at its
 * head are sealed, a batch at a time, and the output is sent. A byte of the queue counts as sent
 * when the kernel took the output that contains it, so results, water marks and deadlines need no
 * extra code.
 */
#ifndef SLUICE_SRC_FILTER_FILTER_H
#define SLUICE_SRC_FILTER_FILTER_H

#include <sluice/filter.h>

#include "engine/socket.h"

/* Most bytes of a batch: a multiple of a TLS record, and less than a send buffer. */
#define SLUICE__SEAL_MAX (UINT64_C(128) << 10)

struct sluice__gather;

struct sluice__filter {
	struct sluice_filter calls;
	uint64_t owed;  /* bytes at the head of the queue that are sealed and not yet sent */
	uint32_t flags; /* for the send(2) of the output */
	/* the batch counts as sent all at once: a record of it was cancelled, or is PARTIAL */
	bool whole;
	bool opened;           /* the handshake succeeded */
	bool ended;            /* the end of the stream is sealed */
	bool shut_owed;        /* FIN follows when the kernel has pushed what it took */
	int64_t shut_until;    /* or at this time; 0: no limit, as long as the socket is open */
	int64_t retry_ns;      /* the next interval between two looks */
	uint64_t taken_before; /* the socket's sent bytes when the handshake succeeded */
};

static inline bool sluice__is_filtered(const struct sluice_socket *socket)
{
	return sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED;
}

static inline bool sluice__sends_filtered(const struct sluice_socket *socket)
{
	return sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED_SENDS;
}

/*
 * The kernel itself filters what is sent. Then nothing may be held back with MSG_MORE but for what is
 * queued already: TCP sends it after 200 ms, the kernel's TLS waits for the rest of its record.
 */
static inline bool sluice__kernel_filters(const struct sluice_socket *socket)
{
	return (sluice__socket_flags(socket) &
		(SLUICE__SHARED_FILTERED | SLUICE__SHARED_FILTERED_SENDS)) ==
	       SLUICE__SHARED_FILTERED;
}

static inline struct sluice__filter *sluice__filter_of(const struct sluice_socket *socket)
{
	return socket->marks->filter;
}

/* socket/handshake.c: begins the handshake; continues it when the socket is readable or writable */
int sluice__filter_begin(struct sluice_socket *socket, struct sluice_args *args);
void sluice__filter_step(struct sluice_socket *socket);

/* send/filtered.c: sends the output. False: the socket is blocked with the rest, or failed. */
bool sluice__filter_flush(struct sluice_socket *socket);
/* The same for output without a record, when the queue is empty. */
void sluice__filter_flush_idle(struct sluice_socket *socket);
/* Seals what was gathered at the head of the queue and sends it. False: the socket is blocked. */
bool sluice__filter_send(struct sluice_socket *socket, const struct sluice__gather *gathered);
/* The same for a slice of the file at the head. */
bool sluice__filter_send_slice(struct sluice_socket *socket, const struct iovec *slice,
			       uint32_t flags, bool last);
/* Seals and sends the end of the stream. False: the socket is blocked. */
bool sluice__filter_end(struct sluice_socket *socket);

/* Makes the socket ready if there is output to send. */
void sluice__filter_offer(struct sluice_socket *socket);
/* Whether the record's next bytes are from a file. */
bool sluice__filter_is_file(const struct sluice_args *args);

/*
 * A record leaves the queue before its end. Returns how many of its bytes are sealed: those are
 * sent anyway.
 */
uint64_t sluice__filter_forget(struct sluice_socket *socket, const struct sluice_args *args);
/* The same for all records of the queue. */
void sluice__filter_forget_all(struct sluice_socket *socket);
/* Sends the end of the stream before FIN, if the kernel takes it immediately. */
void sluice__filter_goodbye(struct sluice_socket *socket);

/*
 * A kernel that filters may report bytes as sent before they are in the transport's queue, and
 * shutdown(2) and close(2) lose the rest of them. Nothing signals that it has pushed them, so the
 * socket looks again, at doubling intervals.
 */
bool sluice__filter_is_pushed(const struct sluice_socket *socket);
/* The interval until the next look. */
int64_t sluice__filter_retry_ns(struct sluice_socket *socket);
/* Sends FIN. Returns 0; -EAGAIN: not yet, call it again; or another -errno. */
int sluice__filter_shut(struct sluice_socket *socket);
/* Whether such a FIN is still to be sent. */
bool sluice__filter_owes_shut(const struct sluice_socket *socket);

/* Returns bytes, 0 at the end of the stream, or -errno, like a receive of the backend. */
int64_t sluice__filter_receive(struct sluice_socket *socket, const struct iovec *segments,
			       size_t count, uint32_t flags);
bool sluice__filter_pending(const struct sluice_socket *socket);

void sluice__filter_free(struct sluice_socket *socket);

#endif
