/* SPDX-License-Identifier: MIT */
/* Puts a filter on a socket, and starts its handshake. */
#include <errno.h>

#include "engine/socket.h"
#include "engine/state.h"
#include "filter/filter.h"
#include "loop/loop.h"
#include "socket/socket.h"
#include "start/start.h"
#include "trace/trace.h"

static int check_filter(struct sluice_socket *socket, const struct sluice_filter *filter,
			const struct sluice_args *args)
{
	uint32_t refuse = sluice__refuse(socket);
	int error = sluice__check_alive(socket, args);

	if (error)
		return error;
	if (!filter || filter->size < sizeof *filter)
		return -EINVAL;
	error = sluice__check_flags(args->flags, 0);
	if (error)
		return error;
	if (refuse & SLUICE__DATAGRAM)
		return -EOPNOTSUPP;
	if (refuse & SLUICE__FILTERED)
		return -EALREADY;
	if ((refuse & (SLUICE__LISTENING | SLUICE__CONNECTING | SLUICE__DISCONNECTED |
		       SLUICE__SHUT_SEND | SLUICE__SHUT_RECEIVE)) ||
	    !sluice__has_peer(socket))
		return -ENOTCONN;
	return 0;
}

static int install(struct sluice_socket *socket, const struct sluice_filter *calls)
{
	struct sluice__marks *marks = sluice__marks_of(socket);
	struct sluice__filter *filter;

	if (!marks)
		return -ENOMEM;
	if (socket->queue.list.head || sluice__receives_pending(socket) || socket->receiver)
		return -EBUSY;
	filter = sluice__allocate(socket->engine, sizeof *filter);
	if (!filter)
		return -ENOMEM;
	filter->calls = *calls;
	marks->filter = filter;
	sluice__refuse_set(socket, SLUICE__FILTERED | SLUICE__FILTERED_SENDS);
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
	error = install(socket, filter);
	if (error)
		return error;
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_CONNECT,
				    sluice__start(socket, args, SLUICE_OPERATION_CONNECT,
						  SLUICE__HANDSHAKE, 0));
}
