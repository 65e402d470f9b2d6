/* SPDX-License-Identifier: MIT */
/*
 * Checks shared by all starting calls. A refused call leaves the record and the socket unchanged;
 * start/start.c accepts the record.
 */

#include <errno.h>

#include "core/record.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "send/send.h"
#include "start/start.h"

/* ---- refusals, in the order that operations.h promises ---- */

int sluice__check_alive(const struct sluice_socket *socket, const struct sluice_args *args)
{
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	if (sluice__record_owner(args))
		return -EBUSY; /* a dispose takes effect when the operation ends */
	if (sluice__record_disposed(args))
		return -EBADF;
	if (args->reserved)
		return -EINVAL;
	if (args->timeout_ns < 0)
		return -ERANGE;
	return 0;
}

/* Flags exclude each other; EAGER or BATCHED, if allowed, may accompany any of them. */
int sluice__check_flags(uint32_t flags, uint32_t allowed)
{
	uint32_t hints = flags & (SLUICE_FLAG_EAGER | SLUICE_FLAG_BATCHED);
	uint32_t rest = flags & ~(uint32_t)(SLUICE_FLAG_EAGER | SLUICE_FLAG_BATCHED);

	if (hints == (SLUICE_FLAG_EAGER | SLUICE_FLAG_BATCHED))
		return -EOPNOTSUPP;
	if ((flags & ~allowed) || (rest & (rest - 1)))
		return -EOPNOTSUPP;
	return 0;
}

int sluice__check_connected(struct sluice_socket *socket)
{
	uint32_t shared = sluice__socket_flags(socket);

	if (shared &
	    (SLUICE__SHARED_CONNECTING | SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED))
		return 0;
	if (shared & SLUICE__SHARED_LISTENING)
		return -ENOTCONN;
	if (sluice__has_peer(socket))
		return 0;
	return shared & SLUICE__SHARED_DATAGRAM ? -EDESTADDRREQ : -ENOTCONN;
}

static bool is_beyond_limit(const struct sluice_socket *socket, uint64_t bytes)
{
	uint64_t queued = __atomic_load_n(&socket->queue.bytes, __ATOMIC_RELAXED) +
			  __atomic_load_n(&socket->cross_thread_bytes, __ATOMIC_RELAXED);

	return queued && queued + bytes > socket->limit_bytes;
}

int sluice__check_limit(struct sluice_socket *socket, uint64_t bytes)
{
	if (likely(!socket->limit_bytes || !is_beyond_limit(socket, bytes)))
		return 0;
	if (sluice__is_owner(socket->engine))
		sluice__offer_queue(socket);
	return is_beyond_limit(socket, bytes) ? -ENOBUFS : 0;
}
