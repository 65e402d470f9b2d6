/* SPDX-License-Identifier: MIT */
/* Starts of connect, accept, disconnect and receive: each call is checked, then accepted. */
#include <errno.h>
#include <sluice/operations.h>

#include "core/record.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "start/start.h"
#include "trace/trace.h"

static int check_call(const struct sluice_socket *socket, const struct sluice_args *args)
{
	return socket && args ? sluice__check_alive(socket, args) : -EINVAL;
}

static int start_connect(struct sluice_socket *socket, struct sluice_args *args)
{
	int error = check_call(socket, args);
	uint32_t shared;

	if (error)
		return error;
	if (!args->remote_address || args->remote_address_length < sizeof(sa_family_t))
		return -EINVAL;
	error = sluice__check_flags(args->flags, 0);
	if (error)
		return error;
	shared = sluice__socket_flags(socket);
	if (shared & SLUICE__SHARED_LISTENING)
		return -EINVAL;
	if (shared & (SLUICE__SHARED_DISCONNECTED | SLUICE__SHARED_FILTERED))
		return -EISCONN;
	/* A datagram socket may change its remote; a second pending connect fails as it begins. */
	if (!(shared & (SLUICE__SHARED_CONNECTING | SLUICE__SHARED_DATAGRAM)) &&
	    sluice__has_peer(socket))
		return -EISCONN;
	if ((shared & SLUICE__SHARED_CONNECTING) > SLUICE__SHARED_CONNECTING / 2)
		return -ENOBUFS; /* thousands of connects are pending */
	return sluice__start(socket, args, SLUICE_OPERATION_CONNECT, 0, 0);
}

static int start_accept(struct sluice_socket *socket, struct sluice_args *args)
{
	int error = check_call(socket, args);

	if (error)
		return error;
	error = sluice__check_flags(args->flags, 0);
	if (error)
		return error;
	if (!sluice__listens(socket))
		return -EINVAL;
	if (__atomic_load_n(&socket->accepter, __ATOMIC_RELAXED))
		return -EBUSY;
	return sluice__start(socket, args, SLUICE_OPERATION_ACCEPT, 0, 0);
}

static int start_disconnect(struct sluice_socket *socket, struct sluice_args *args)
{
	int error = check_call(socket, args);
	uint32_t op_flags = SLUICE__OP_DISCONNECT;
	uint32_t shared;

	if (error)
		return error;
	error = sluice__check_flags(args->flags, 0);
	if (error)
		return error;
	shared = sluice__socket_flags(socket);
	if (shared & SLUICE__SHARED_LISTENING)
		return -ENOTCONN;
	if (!(shared & (SLUICE__SHARED_CONNECTING | SLUICE__SHARED_DISCONNECTED |
			SLUICE__SHARED_SHUT_SEND)) &&
	    !sluice__has_peer(socket))
		return -ENOTCONN;
	if (args->disconnect_reuse_socket)
		op_flags |= SLUICE__OP_REUSE;
	return sluice__start(socket, args, SLUICE_OPERATION_DISCONNECT, op_flags, 0);
}

/* True if writable memory is set: a receive buffer or a list. */
static bool has_receive_memory(const struct sluice_args *args)
{
	if (!args->run.base)
		return false;
	return (args->run.op_flags & SLUICE__OP_LIST) || args->run.count == SLUICE__WRITABLE;
}

static int check_receive_state(struct sluice_socket *socket)
{
	uint32_t shared = sluice__socket_flags(socket);

	if (shared & SLUICE__SHARED_LISTENING)
		return -ENOTCONN;
	if (shared & (SLUICE__SHARED_CONNECTING | SLUICE__SHARED_DISCONNECTED |
		      SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_SHUT_RECEIVE))
		return 0;
	/* A bound datagram socket receives without a remote. */
	if (shared & SLUICE__SHARED_DATAGRAM)
		return 0;
	return sluice__has_peer(socket) ? 0 : -ENOTCONN;
}

static uint32_t allowed_receive_flags(const struct sluice_socket *socket)
{
	if (sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED)
		return SLUICE_FLAG_PEEK;
	return SLUICE_FLAG_OUT_OF_BAND | SLUICE_FLAG_PEEK;
}

static int start_receive(struct sluice_socket *socket, struct sluice_args *args, uint32_t operation)
{
	int error = check_call(socket, args);
	uint32_t op_flags = 0;

	if (error)
		return error;
	if (operation == SLUICE_OPERATION_RECEIVE_FROM &&
	    (!args->from_address || args->from_capacity == 0))
		return -EINVAL;
	if (!has_receive_memory(args))
		return -EINVAL;
	error = sluice__check_flags(args->flags, allowed_receive_flags(socket));
	if (error)
		return error;
	error = check_receive_state(socket);
	if (error)
		return error;
	if (__atomic_load_n(&socket->receiver, __ATOMIC_RELAXED))
		return -EBUSY;
	if (args->flags & SLUICE_FLAG_OUT_OF_BAND)
		op_flags |= SLUICE__OP_OUT_OF_BAND;
	if (args->flags & SLUICE_FLAG_PEEK)
		op_flags |= SLUICE__OP_PEEK;
	return sluice__start(socket, args, operation, op_flags, 0);
}

int sluice_connect_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_CONNECT,
				    start_connect(socket, args));
}

int sluice_accept_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_ACCEPT,
				    start_accept(socket, args));
}

int sluice_disconnect_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_DISCONNECT,
				    start_disconnect(socket, args));
}

int sluice_receive_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_RECEIVE,
				    start_receive(socket, args, SLUICE_OPERATION_RECEIVE));
}

int sluice_receive_from_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_RECEIVE_FROM,
				    start_receive(socket, args, SLUICE_OPERATION_RECEIVE_FROM));
}
