/* SPDX-License-Identifier: MIT */
/*
 * Creation and memory of sockets, and the system calls on a descriptor that several operations
 * need. socket/close.c closes them.
 */
#include "engine/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/queue.h"
#include "core/gso.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "trace/trace.h"

static int socket_option(int fd, int name, int *ret_value)
{
	socklen_t length = sizeof *ret_value;

	return getsockopt(fd, SOL_SOCKET, name, ret_value, &length) < 0 ? -errno : 0;
}

uint16_t sluice__socket_gso(int fd)
{
	int bytes;
	socklen_t length = sizeof bytes;

	/* If the application has set UDP_SEGMENT itself, leave the socket alone. */
	if (getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, &length) < 0 || bytes)
		return 0;
	return SLUICE__GSO_BYTES;
}

/* Queries the kernel for the kind and state of the socket. */
static int socket_inspect(int fd, struct sluice_socket *socket)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int type, domain, protocol, listening;
	int error = socket_option(fd, SO_TYPE, &type);

	if (!error)
		error = socket_option(fd, SO_DOMAIN, &domain);
	if (!error)
		error = socket_option(fd, SO_PROTOCOL, &protocol);
	if (error)
		return error;
	socket->family = (uint8_t)domain;
	socket->type = (uint8_t)type;
	if (type != SOCK_STREAM)
		socket->shared_flags |= SLUICE__SHARED_DATAGRAM;
	if (protocol != IPPROTO_TCP)
		socket->shared_flags |= SLUICE__SHARED_NOT_TCP;
	if (protocol == IPPROTO_UDP && type == SOCK_DGRAM)
		socket->gso_bytes = sluice__socket_gso(fd);
	if (socket_option(fd, SO_ACCEPTCONN, &listening) == 0 && listening)
		socket->shared_flags |= SLUICE__SHARED_LISTENING;
	else if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		socket->shared_flags |= SLUICE__SHARED_UNCONNECTED;
	return 0;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	flags = fcntl(fd, F_GETFD);
	if (flags < 0 || (!(flags & FD_CLOEXEC) && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0))
		return -errno;
	return 0;
}

/* Sockets per slab, so that a socket has no allocation overhead. */
#define SLAB 64

struct sluice__slab {
	struct sluice_socket sockets[SLAB];
	struct sluice__slab *next;
};

/* Under the lock. */
static void slab_add(struct sluice_engine *engine)
{
	struct sluice__slab *slab = sluice__allocate(engine, sizeof *slab);

	if (!slab)
		return;
	slab->next = engine->slabs;
	engine->slabs = slab;
	for (int i = SLAB; i-- > 0;)
		sluice__pool_put(&engine->socket_pool, &slab->sockets[i].event_link);
}

void sluice__slabs_free(struct sluice_engine *engine)
{
	struct sluice__slab *slab;

	while ((slab = engine->slabs)) {
		engine->slabs = slab->next;
		free(slab);
	}
}

static struct sluice_socket *socket_memory_take(struct sluice_engine *engine)
{
	struct sluice_socket *socket;

	pthread_mutex_lock(&engine->lock);
	if (sluice__pool_is_empty(&engine->socket_pool))
		slab_add(engine);
	socket = sluice__element(sluice__pool_get(&engine->socket_pool), struct sluice_socket,
				 event_link);
	pthread_mutex_unlock(&engine->lock);
	if (socket)
		memset(socket, 0, sizeof *socket);
	return socket;
}

static void socket_memory_give(struct sluice_engine *engine, struct sluice_socket *socket)
{
	pthread_mutex_lock(&engine->lock);
	sluice__pool_put(&engine->socket_pool, &socket->event_link);
	pthread_mutex_unlock(&engine->lock);
}

static void socket_list_add(struct sluice_engine *engine, struct sluice_socket *socket)
{
	pthread_mutex_lock(&engine->lock);
	socket->next = engine->sockets;
	if (socket->next)
		socket->next->link = &socket->next;
	socket->link = &engine->sockets;
	engine->sockets = socket;
	engine->statistics.sockets++;
	pthread_mutex_unlock(&engine->lock);
	if (engine->trace)
		sluice__trace_socket(socket, SLUICE__TRACE_ATTACH);
}

static void socket_init(struct sluice_socket *socket, struct sluice_engine *engine, int fd)
{
	socket->engine = engine;
	socket->fd = fd;
	sluice__sendq_init(&socket->queue);
	sluice__list_init(&socket->receives);
	socket->limit_bytes = engine->options.queue_limit_bytes;
	socket->high_bytes = UINT64_MAX;
	socket->check_above = socket->limit_bytes ? socket->limit_bytes : UINT64_MAX;
	socket->shared_flags = engine->trace ? SLUICE__SHARED_TRACED : 0;
}

int sluice__socket_make(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket)
{
	struct sluice_socket *socket = socket_memory_take(engine);
	int error;

	if (!socket)
		return -ENOMEM;
	socket_init(socket, engine, fd);
	error = socket_inspect(fd, socket);
	if (!error)
		error = set_nonblocking(fd);
	if (error) {
		socket_memory_give(engine, socket);
		return error;
	}
	socket_list_add(engine, socket);
	*ret_socket = socket;
	return 0;
}

int sluice__socket_make_accepted(const struct sluice_socket *listener, int fd,
				 struct sluice_socket **ret_socket)
{
	struct sluice_engine *engine = listener->engine;
	struct sluice_socket *socket = socket_memory_take(engine);

	sluice__assert_owner(engine);
	sluice__assert(fd >= 0);
	if (!socket)
		return -ENOMEM;
	/* Connected, close-on-exec and non-blocking already; the rest is the listener's. */
	socket_init(socket, engine, fd);
	socket->family = listener->family;
	socket->type = listener->type;
	socket->shared_flags |= sluice__socket_flags(listener) &
				(SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_NOT_TCP);
	socket->unsent_low_bytes = listener->unsent_low_bytes;
	socket_list_add(engine, socket);
	engine->statistics.accepted++;
	*ret_socket = socket;
	return 0;
}

bool sluice__listens(struct sluice_socket *socket)
{
	int listening = 0;

	if (sluice__socket_flags(socket) & SLUICE__SHARED_LISTENING)
		return true;
	if (socket_option(socket->fd, SO_ACCEPTCONN, &listening) < 0 || !listening)
		return false;
	sluice__socket_flags_set(socket, SLUICE__SHARED_LISTENING);
	sluice__socket_flags_clear(socket, SLUICE__SHARED_UNCONNECTED);
	return true;
}

static void socket_list_remove(struct sluice_engine *engine, struct sluice_socket *socket)
{
	pthread_mutex_lock(&engine->lock);
	*socket->link = socket->next;
	if (socket->next)
		socket->next->link = socket->link;
	engine->statistics.sockets--;
	engine->statistics.transmissions += socket->transmissions;
	engine->statistics.records_sent += socket->records_sent;
	engine->statistics.bytes_sent += socket->bytes_sent;
	pthread_mutex_unlock(&engine->lock);
}

/* No turn will run that could complete pending operations. */
static bool engine_has_no_owner(const struct sluice_engine *engine)
{
	return sluice__dead(engine) & (SLUICE__DEAD_LOST | SLUICE__DEAD_FORKED);
}

void sluice__socket_give(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	/* An engine without an owner is freed with its pending operations. */
	sluice__assert(socket->armed == 0 || engine_has_no_owner(engine));
	sluice__assert(sluice__sendq_is_empty(&socket->queue) || engine_has_no_owner(engine));
	socket_list_remove(engine, socket);
	socket_memory_give(engine, socket);
}

/* ---- calls on the descriptor ---- */

/* The application may have called connect(2) itself. */
bool sluice__has_peer(struct sluice_socket *socket)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	uint32_t shared = sluice__socket_flags(socket);

	if (!(shared & SLUICE__SHARED_UNCONNECTED))
		return true;
	if (getpeername(socket->fd, (struct sockaddr *)&address, &length) < 0)
		return false;
	sluice__socket_flags_clear(socket, SLUICE__SHARED_UNCONNECTED);
	return true;
}

void sluice__socket_reset(struct sluice_socket *socket)
{
	struct sockaddr unspecified = {.sa_family = AF_UNSPEC};

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->fd >= 0);
	connect(socket->fd, &unspecified, sizeof unspecified);
}

/* Bounds for the unread data that a close discards, so that the kernel sends FIN and not RST. */
#define DRAIN_ROUNDS 64
#define DRAIN_BYTES 16384

/*
 * close(2) with unread data sends RST, which destroys data that the peer has not received yet.
 * Returns the number of bytes discarded.
 */
uint64_t sluice__socket_drain(struct sluice_socket *socket)
{
	char nothing[DRAIN_BYTES], type[CMSG_SPACE(sizeof(uint64_t))];
	struct iovec segment = {nothing, sizeof nothing};
	uint64_t bytes = 0;

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->fd >= 0);
	for (int i = 0; i < DRAIN_ROUNDS; i++) {
		struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
		ssize_t got;

		/* Only for the kernel's TLS: a UNIX socket would put descriptors there. */
		if ((sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED) &&
		    sluice__socket_is_tcp(socket)) {
			message.msg_control = type;
			message.msg_controllen = sizeof type;
		}
		got = recvmsg(socket->fd, &message, MSG_DONTWAIT);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			sluice__socket_saw_reset(socket);
		if (got == 0)
			sluice__socket_saw_end(socket);
		if (got <= 0)
			break;
		bytes += (uint64_t)got;
	}
	return bytes;
}

bool sluice__socket_is_stream(const struct sluice_socket *socket)
{
	return !(sluice__socket_flags(socket) &
		 (SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_LISTENING));
}

bool sluice__socket_is_tcp(const struct sluice_socket *socket)
{
	return sluice__socket_is_stream(socket) &&
	       !(sluice__socket_flags(socket) & SLUICE__SHARED_NOT_TCP);
}
