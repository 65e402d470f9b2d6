/* SPDX-License-Identifier: MIT */
/* Installs a filter on a socket and starts its handshake. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "filter/filter.h"
#include "loop/loop.h"
#include "send/send.h"
#include "socket/socket.h"
#include "start/start.h"
#include "trace/trace.h"

static int check_filter(struct sluice_socket *socket, const struct sluice_filter *filter,
			const struct sluice_args *args)
{
	uint32_t shared = sluice__socket_flags(socket);
	int error = sluice__check_alive(socket, args);

	if (error)
		return error;
	if (!filter || filter->size < offsetof(struct sluice_filter, unended))
		return -EINVAL;
	error = sluice__check_flags(args->flags, 0);
	if (error)
		return error;
	if (shared & SLUICE__SHARED_DATAGRAM)
		return -EOPNOTSUPP;
	if (shared & SLUICE__SHARED_FILTERED)
		return -EALREADY;
	if ((shared &
	     (SLUICE__SHARED_LISTENING | SLUICE__SHARED_CONNECTING | SLUICE__SHARED_DISCONNECTED |
	      SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_SHUT_RECEIVE)) ||
	    !sluice__has_peer(socket))
		return -ENOTCONN;
	return 0;
}

static int install_filter(struct sluice_socket *socket, const struct sluice_filter *calls)
{
	struct sluice__marks *marks = sluice__marks_of(socket);
	struct sluice__filter *filter;

	if (!marks)
		return -ENOMEM;
	sluice__reclaim(socket);
	if (!sluice__sendq_is_empty(&socket->queue) || sluice__receives_pending(socket) ||
	    socket->receiver)
		return -EBUSY;
	filter = sluice__allocate(socket->engine, sizeof *filter);
	if (!filter)
		return -ENOMEM;
	memcpy(&filter->calls, calls, calls->size < sizeof *calls ? calls->size : sizeof *calls);
	marks->filter = filter;
	sluice__socket_flags_set(socket, SLUICE__SHARED_FILTERED | SLUICE__SHARED_FILTERED_SENDS);
	return 0;
}

int sluice_filter_async(struct sluice_socket *socket, const struct sluice_filter *filter,
			struct sluice_args *args)
{
	int error;

	if (!socket || !args)
		return -EINVAL;
	error = check_filter(socket, filter, args);
	if (!error)
		error = sluice__engine_enter(socket->engine);
	if (error <= 0)
		return error ? error : -EPERM;
	sluice__mailbox_take(socket->engine);
	error = install_filter(socket, filter);
	if (error)
		return error;
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_CONNECT,
				    sluice__start(socket, args, SLUICE_OPERATION_CONNECT,
						  SLUICE__OP_HANDSHAKE, 0));
}
