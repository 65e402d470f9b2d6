/* SPDX-License-Identifier: MIT */
/* Connecting: sends and receives that are started meanwhile wait for it. */
#include <errno.h>
#include <sys/socket.h>

#include "engine/socket.h"
#include "engine/state.h"
#include "filter/filter.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

/* A UNIX listener with a full backlog gives nothing to wait for. */
#define RETRY_NS 1000000

static int try_connect(struct sluice_socket *socket, const struct sluice_args *args)
{
	if (connect(socket->fd, sluice__record_address(args),
		    sluice__record_address_length(args)) == 0)
		return 0;
	return errno;
}

static void wait_for_answer(struct sluice_socket *socket, int error_number)
{
	if (error_number == EAGAIN) {
		sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, RETRY_NS);
		return;
	}
	/* Still on its way back from an earlier connect that was given up: that answer starts it. */
	if (socket->out.armed)
		return;
	socket->out.kind = SLUICE__REQUEST_WRITABLE;
	if (sluice__request_start(socket, &socket->out) < 0)
		sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, RETRY_NS);
}

/* What was started behind it goes on, unless it waits for another connect. */
static void over(struct sluice_socket *socket, bool connected)
{
	if (connected)
		sluice__socket_flags_clear(socket, SLUICE__SHARED_UNCONNECTED);
	sluice__connect_withdraw(socket);
	if (socket->queue.list.head &&
	    !(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)))
		sluice__ready(socket);
	sluice__receive_arm(socket);
	sluice__receiver_begin(socket);
}

static void abort_behind(struct sluice_socket *socket, int32_t error, int32_t native)
{
	sluice__settle_abort(socket, error, native, error, native);
	sluice__receive_abort(socket, error, native);
	sluice__receiver_end(socket, error, native);
}

/* Other threads may have found it announced, and started something behind it. */
static int answered_at_once(struct sluice_socket *socket, struct sluice_args *args, bool may_finish,
			    int error_number)
{
	bool datagram = sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM;
	int answer = sluice__end_at_once(socket->engine, args, may_finish,
					 sluice_socket_error_from_errno(error_number), error_number,
					 0);

	/* Datagrams stand each for itself; what is connected stays connected. */
	if (error_number && !datagram &&
	    (sluice__socket_flags(socket) & SLUICE__SHARED_UNCONNECTED))
		abort_behind(socket, SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
	over(socket, error_number == 0);
	return answer;
}

/* What was started before a datagram socket changes its remote still goes to the old one. */
static bool connects_in_its_turn(const struct sluice_socket *socket)
{
	return (sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM) && socket->queue.list.head;
}

static int queue_connect(struct sluice_socket *socket, struct sluice_args *args)
{
	/* What is started behind it is accepted, and has a remote when its turn comes. */
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
	if (connects_in_its_turn(socket))
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
		return answered_at_once(socket, args, may_finish, error_number);
	socket->connecting = args;
	if (args->run.op_flags & SLUICE__OP_DEADLINE)
		sluice__deadline_arm(socket, args);
	wait_for_answer(socket, error_number);
	return 1;
}

void sluice__connect_succeeded(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->connecting;

	sluice__assert(args && (sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING));
	socket->connecting = NULL;
	sluice__finish(socket->engine, args, SLUICE_ERROR_SUCCESS, 0, 0);
	over(socket, true);
}

static void failed(struct sluice_socket *socket, int32_t error, int32_t native, int32_t rest_error,
		   int32_t rest_native)
{
	struct sluice_args *args = socket->connecting;

	sluice__assert(args && native > 0);
	socket->connecting = NULL;
	sluice__socket_reset(socket); /* the next connect(2) would be answered for this one */
	sluice__socket_flags_set(socket, SLUICE__SHARED_UNCONNECTED);
	sluice__timer_disarm(socket);
	sluice__connect_withdraw(socket);
	sluice__finish(socket->engine, args, error, native, 0);
	abort_behind(socket, rest_error, rest_native);
}

void sluice__connect_refused(struct sluice_socket *socket, int32_t error, int32_t native)
{
	struct sluice_args *args = socket->connecting;

	socket->connecting = NULL;
	sluice__connect_withdraw(socket);
	sluice__finish(socket->engine, args, error, native, 0);
	abort_behind(socket, SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
}

void sluice__connect_give_up(struct sluice_socket *socket, int32_t error, int32_t native)
{
	sluice__assert_owner(socket->engine);
	if (!socket->connecting)
		return;
	sluice__request_cancel(socket, &socket->out);
	if (sluice__is_filtered(socket))
		sluice__request_cancel(socket, &socket->in);
	/* Closing ends what waits as it ends everything else. */
	if (sluice__socket_phase(socket) > SLUICE__PHASE_CLOSING)
		failed(socket, error, native, error, native);
	else
		failed(socket, error, native, SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
}

/* A datagram socket's waits among the sends. */
void sluice__connect_give_up_one(struct sluice_socket *socket, struct sluice_args *args)
{
	bool overdue = args->run.op_flags & SLUICE__OP_OVERDUE;

	if (args != socket->connecting)
		sluice__send_give_up(socket, args);
	else if (overdue)
		sluice__connect_give_up(socket, SLUICE_ERROR_TIMED_OUT, ETIMEDOUT);
	else
		sluice__connect_give_up(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
}

/* The descriptor can be written to: connected, failed, or an answer that came too late. */
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
		failed(socket, sluice_socket_error_from_errno(error_number), error_number,
		       SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
	else if (getpeername(socket->fd, (struct sockaddr *)&peer, &length) == 0)
		sluice__connect_succeeded(socket);
	else
		wait_for_answer(socket, EINPROGRESS);
}

void sluice__connect_retry(struct sluice_socket *socket)
{
	int error_number = try_connect(socket, socket->connecting);

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->connecting);
	if (error_number == 0 || error_number == EISCONN)
		sluice__connect_succeeded(socket);
	else if (error_number == EAGAIN || error_number == EINPROGRESS || error_number == EALREADY)
		wait_for_answer(socket, error_number);
	else
		failed(socket, sluice_socket_error_from_errno(error_number), error_number,
		       SLUICE_ERROR_NOT_CONNECTED, ENOTCONN);
}
