/* SPDX-License-Identifier: MIT */
/* Connects. Sends and receives that are started meanwhile wait for the connect. */
#include <errno.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "filter/filter.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

/* A UNIX listener with a full backlog gives no event to wait for, so retry. */
#define RETRY_NS 1000000

static int try_connect(struct sluice_socket *socket, const struct sluice_args *args)
{
	if (connect(socket->fd, sluice__record_address(args),
		    sluice__record_address_length(args)) == 0)
		return 0;
	return errno;
}

static void wait_for_connect(struct sluice_socket *socket, int error_number)
{
	if (error_number == EAGAIN) {
		sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, RETRY_NS);
		return;
	}
	/* Armed by an earlier, cancelled connect: its completion continues this one. */
	if (socket->out.armed)
		return;
	socket->out.kind = SLUICE__REQUEST_WRITABLE;
	if (sluice__request_start(socket, &socket->out) < 0)
		sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, RETRY_NS);
}

/* Starts what waited for this connect, unless another connect is pending. */
static void release_waiting(struct sluice_socket *socket, bool connected)
{
	if (connected)
		sluice__socket_flags_clear(socket, SLUICE__SHARED_UNCONNECTED);
	sluice__connect_withdraw(socket);
	if (!sluice__sendq_is_empty(&socket->queue) &&
	    !(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)))
		sluice__ready(socket);
	sluice__receive_arm(socket);
	sluice__receiver_begin(socket);
}

static void abort_waiting(struct sluice_socket *socket, int32_t error, int32_t native)
{
	sluice__settle_abort(socket, error, native, error, native);
	sluice__receive_abort(socket, error, native);
	sluice__receiver_end(socket, error, native);
}

/* Other threads may already have started operations that wait for this connect. */
static int connect_completed_now(struct sluice_socket *socket, struct sluice_args *args,
				 bool may_finish, int error_number)
{
	bool datagram = sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM;
	int answer = sluice__end_at_once(socket->engine, args, may_finish,
					 sluice_socket_error_from_errno(error_number), error_number,
					 0);

	/* Datagrams fail individually, and a connected socket stays connected. */
	if (error_number && !datagram &&
	    (sluice__socket_flags(socket) & SLUICE__SHARED_UNCONNECTED))
		abort_waiting(socket, SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
	release_waiting(socket, error_number == 0);
	return answer;
}

/* Datagrams started before a connect still go to the old remote, so the connect is queued. */
static bool must_queue_connect(const struct sluice_socket *socket)
{
	return (sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM) &&
	       !sluice__sendq_is_empty(&socket->queue);
}

static int queue_connect(struct sluice_socket *socket, struct sluice_args *args)
{
	/* Later starts are accepted: the socket has a remote by the time they are sent. */
	sluice__socket_flags_clear(socket, SLUICE__SHARED_UNCONNECTED);
	sluice__connect_withdraw(socket);
	args->run.op_flags |= SLUICE__OP_DISCONNECT;
	sluice__send_push(socket, args);
	return 1;
}

int sluice__connect_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish)
{
	struct sluice_engine *engine = socket->engine;
	int error_number;

	sluice__assert_owner(socket->engine);
	sluice__assert(sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING);
	if (must_queue_connect(socket))
		return queue_connect(socket, args);
	if (args->run.op_flags & SLUICE__OP_HANDSHAKE)
		return sluice__filter_begin(socket, args);
	if (socket->connecting) {
		sluice__connect_withdraw(socket);
		return sluice__end_at_once(engine, args, may_finish,
					   SLUICE_ERROR_ALREADY_IN_PROGRESS, EALREADY, 0);
	}
	error_number = try_connect(socket, args);
	if (error_number != EINPROGRESS && error_number != EAGAIN && error_number != EINTR)
		return connect_completed_now(socket, args, may_finish, error_number);
	socket->connecting = args;
	if (args->run.op_flags & SLUICE__OP_DEADLINE)
		sluice__deadline_arm(socket, args);
	wait_for_connect(socket, error_number);
	return 1;
}

void sluice__connect_succeeded(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->connecting;

	sluice__assert_owner(socket->engine);
	sluice__assert(args && (sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING));
	socket->connecting = NULL;
	sluice__finish(socket->engine, args, SLUICE_ERROR_SUCCESS, 0, 0);
	release_waiting(socket, true);
}

static void connect_failed(struct sluice_socket *socket, int32_t error, int32_t native,
			   int32_t rest_error, int32_t rest_native)
{
	struct sluice_args *args = socket->connecting;

	sluice__assert(args && native > 0);
	socket->connecting = NULL;
	sluice__socket_reset(socket); /* else the next connect(2) gets this one's result */
	sluice__socket_flags_set(socket, SLUICE__SHARED_UNCONNECTED);
	sluice__timer_disarm(socket);
	sluice__connect_withdraw(socket);
	sluice__finish(socket->engine, args, error, native, 0);
	abort_waiting(socket, rest_error, rest_native);
}

void sluice__connect_refused(struct sluice_socket *socket, int32_t error, int32_t native)
{
	struct sluice_args *args = socket->connecting;

	sluice__assert_owner(socket->engine);
	socket->connecting = NULL;
	sluice__connect_withdraw(socket);
	sluice__finish(socket->engine, args, error, native, 0);
	abort_waiting(socket, SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
}

void sluice__connect_cancel(struct sluice_socket *socket, int32_t error, int32_t native)
{
	sluice__assert_owner(socket->engine);
	if (!socket->connecting)
		return;
	sluice__request_cancel(socket, &socket->out);
	if (sluice__is_filtered(socket))
		sluice__request_cancel(socket, &socket->in);
	/* A close ends waiting operations like all others. */
	if (sluice__socket_phase(socket) > SLUICE__PHASE_CLOSING)
		connect_failed(socket, error, native, error, native);
	else
		connect_failed(socket, error, native, SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
}

/* The connect of a datagram socket may be in the send queue. */
void sluice__connect_cancel_record(struct sluice_socket *socket, struct sluice_args *args)
{
	bool overdue = args->run.op_flags & SLUICE__OP_OVERDUE;

	sluice__assert_owner(socket->engine);
	if (args != socket->connecting)
		sluice__send_cancel(socket, args);
	else if (overdue)
		sluice__connect_cancel(socket, SLUICE_ERROR_TIMED_OUT, ETIMEDOUT);
	else
		sluice__connect_cancel(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
}

/* The descriptor is writable: connected, failed, or a stale event. */
void sluice__connect_writable(struct sluice_socket *socket)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int error_number = 0;
	socklen_t error_length = sizeof error_number;

	sluice__assert_owner(socket->engine);
	if (sluice__socket_is_closing(socket))
		return;
	getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error_number, &error_length);
	if (error_number)
		connect_failed(socket, sluice_socket_error_from_errno(error_number), error_number,
			       SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
	else if (getpeername(socket->fd, (struct sockaddr *)&peer, &length) == 0)
		sluice__connect_succeeded(socket);
	else
		wait_for_connect(socket, EINPROGRESS);
}

void sluice__connect_retry(struct sluice_socket *socket)
{
	int error_number = try_connect(socket, socket->connecting);

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->connecting);
	if (error_number == 0 || error_number == EISCONN)
		sluice__connect_succeeded(socket);
	else if (error_number == EAGAIN || error_number == EINPROGRESS || error_number == EALREADY)
		wait_for_connect(socket, error_number);
	else
		connect_failed(socket, sluice_socket_error_from_errno(error_number), error_number,
			       SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
}
