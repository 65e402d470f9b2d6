/* SPDX-License-Identifier: MIT */
/* Creation and memory of sockets, and system calls that several operations need. */
#ifndef SLUICE_SRC_ENGINE_SOCKETS_H
#define SLUICE_SRC_ENGINE_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/owner.h"
#include "engine/socket.h"

/* Closed by the application, or its engine is ending: calls are refused with -EBADF. */
static inline bool sluice__socket_is_closed(const struct sluice_socket *socket)
{
	return sluice__dead(socket->engine) ||
	       (sluice__socket_flags(socket) & SLUICE__SHARED_CLOSED);
}

/* What was seen of the end of the stream; a send reports a reset once. */
static inline void sluice__socket_saw_reset(struct sluice_socket *socket)
{
	socket->state |= SLUICE__ST_RESET_SEEN;
}

static inline void sluice__socket_saw_end(struct sluice_socket *socket)
{
	socket->state |= SLUICE__ST_END_SEEN;
}

static inline void sluice__socket_reported_reset(struct sluice_socket *socket)
{
	socket->state |= SLUICE__ST_RESET_SENT;
}

/* The socket has a new descriptor, which is not connected. */
static inline void sluice__socket_renewed(struct sluice_socket *socket)
{
	socket->state &=
		~(uint32_t)(SLUICE__ST_RESET_SEEN | SLUICE__ST_RESET_SENT | SLUICE__ST_END_SEEN);
}

/* Creates a socket; takes ownership of fd only on success. */
int sluice__socket_make(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket);
/* The same for an accepted connection. */
int sluice__socket_make_accepted(const struct sluice_socket *listener, int fd,
				 struct sluice_socket **ret_socket);

/* Discards unread data and returns its size. Records the end of the stream, or a reset. */
uint64_t sluice__socket_drain(struct sluice_socket *socket);
bool sluice__socket_is_stream(const struct sluice_socket *socket);
bool sluice__socket_is_tcp(const struct sluice_socket *socket);
uint16_t sluice__socket_gso(int fd); /* gso_bytes for a UDP socket */
/* Whether the socket is connected; updates UNCONNECTED. */
bool sluice__has_peer(struct sluice_socket *socket);
/* Returns the socket's memory to the pool. */
void sluice__socket_give(struct sluice_socket *socket);
/* Sends RST to the peer, even if a duplicate of the descriptor exists. */
void sluice__socket_reset(struct sluice_socket *socket);

/* Whether the socket listens; listen(2) may have been called after attach. */
bool sluice__listens(struct sluice_socket *socket);
void sluice__slabs_free(struct sluice_engine *engine);

#endif
