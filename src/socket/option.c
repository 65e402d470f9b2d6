/* SPDX-License-Identifier: MIT */
/* Options of a socket: the library's own, and those passed to the kernel. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "engine/socket.h"
#include "engine/sockets.h"

static int set_end_on_give_up(struct sluice_socket *socket, int64_t value)
{
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	if (value)
		socket->state |= SLUICE__ST_END_ON_GIVE_UP;
	else
		socket->state &= ~(uint32_t)SLUICE__ST_END_ON_GIVE_UP;
	return 0;
}

static int set_rate(struct sluice_socket *socket, int64_t value)
{
	uint64_t rate = value ? (uint64_t)value : UINT64_MAX;
	uint32_t small = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
	/* Kernels before 4.20 take 32 bits, of which the maximum means no limit. */
	bool wide = value && rate >= UINT32_MAX;

	if (value < 0)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	if (socket->family != AF_INET && socket->family != AF_INET6)
		return -EOPNOTSUPP;
	if (setsockopt(socket->fd, SOL_SOCKET, SO_MAX_PACING_RATE,
		       wide ? (void *)&rate : (void *)&small,
		       wide ? sizeof rate : sizeof small) < 0)
		return -errno;
	return 0;
}

static int set_unsent_low(struct sluice_socket *socket, int64_t value)
{
	uint32_t bytes = (uint32_t)value;

	if (value < 0 || value > UINT32_MAX)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	if (sluice__socket_flags(socket) & SLUICE__SHARED_NOT_TCP)
		return -EOPNOTSUPP;
	if (setsockopt(socket->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) < 0)
		return -errno;
	socket->unsent_low_bytes = bytes;
	return 0;
}

int sluice_socket_set_option(struct sluice_socket *socket, int name, int64_t value)
{
	if (!socket)
		return -EINVAL;
	switch (name) {
	case SLUICE_SOCKET_END_ON_GIVE_UP:
		return set_end_on_give_up(socket, value);
	case SLUICE_SOCKET_RATE_BYTES_PER_SECOND:
		return set_rate(socket, value);
	case SLUICE_SOCKET_UNSENT_LOW_BYTES:
		return set_unsent_low(socket, value);
	default:
		return -EINVAL;
	}
}
