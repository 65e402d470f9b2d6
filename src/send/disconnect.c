/* SPDX-License-Identifier: MIT */
/*
 * Disconnect: ends the sending side in its place in the queue. With reuse the socket may connect
 * again afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend.h"
#include "core/record.h"
#include "core/zerocopy_policy.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "recv/recv.h"
#include "send/send.h"

/* A separate function, because socket is the name of a variable below. */
static int open_descriptor(int family, int type, int protocol)
{
	return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

/*
 * A connected descriptor cannot connect again, so a new one replaces it under the same number. The
 * kernel completes the old stream.
 */
static int replace_descriptor(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;
	int protocol = 0;
	socklen_t length = sizeof protocol;
	int replacement, error;
	bool encrypted = sluice__kernel_filters(socket), unmask = false;

	getsockopt(socket->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
	replacement = open_descriptor(socket->family, socket->type, protocol);
	if (replacement < 0)
		return -errno;
	if (sluice__socket_is_tcp(socket))
		sluice__socket_drain(socket);
	engine->backend->forget(engine, socket);
	if (unlikely(encrypted))
		unmask = sluice__sigpipe_close_begin(engine);
	error = dup3(replacement, socket->fd, O_CLOEXEC) < 0 ? -errno : 0;
	if (unlikely(encrypted))
		sluice__sigpipe_close_end(engine, unmask);
	close(replacement);
	if (error)
		return error;
	sluice__filter_free(socket);
	sluice__socket_flags_clear(socket, SLUICE__SHARED_FILTERED | SLUICE__SHARED_FILTERED_SENDS);
	/* The next connection may lead to another machine. */
	sluice__zerocopy_end(&socket->zerocopy, &engine->zerocopy->prior);
	return 0;
}

int sluice__socket_disconnect(struct sluice_socket *socket, bool reuse)
{
	int error;

	sluice__assert_owner(socket->engine);
	if (sluice__is_filtered(socket))
		sluice__filter_goodbye(socket);
	if (!reuse) {
		sluice__socket_flags_set(socket, SLUICE__SHARED_DISCONNECTED);
		error = sluice__send_fin(socket);
		return error == -ENOTCONN ? 0 : error;
	}
	shutdown(socket->fd, SHUT_WR);
	sluice__request_cancel(socket, &socket->in);
	error = replace_descriptor(socket);
	if (error)
		return error;
	sluice__socket_renewed(socket);
	sluice__buffer_has_space(socket);
	sluice__socket_flags_set(socket, SLUICE__SHARED_UNCONNECTED);
	sluice__socket_flags_clear(socket, SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_SHUT_RECEIVE |
						   SLUICE__SHARED_DISCONNECTED);
	sluice__receive_abort(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
	sluice__receiver_end(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
	return 0;
}
