/* SPDX-License-Identifier: MIT */
/*
 * Dispatches the backend's completions: finds the socket and the operation of each by the kind of its
 * request.
 */
#include "backend/backend.h"
#include "base/assert.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

static void socket_ready_again(struct sluice_socket *socket)
{
	if (!sluice__sendq_is_empty(&socket->queue) &&
	    !(socket->state &
	      (SLUICE__ST_READY | SLUICE__ST_BLOCKED | SLUICE__ST_IN_FLIGHT | SLUICE__PHASE_MASK)))
		sluice__ready(socket);
}

static void filtered_socket_writable(struct sluice_socket *socket)
{
	if (socket->connecting)
		sluice__filter_step(socket);
	else if (sluice__sendq_is_empty(&socket->queue))
		sluice__filter_flush_idle(socket);
}

static void settle_out(struct sluice_socket *socket, const struct sluice__completion *completion)
{
	uint8_t kind = completion->request->kind;

	socket->out.kind = SLUICE__REQUEST_NONE;
	if (kind == SLUICE__REQUEST_SEND) {
		sluice__settle_result(socket, completion->result);
	} else if (kind == SLUICE__REQUEST_MESSAGES) {
		sluice__datagram_settle(socket, completion->result);
	} else if (kind == SLUICE__REQUEST_FILE) {
		sluice__file_settle(socket, completion->result);
	} else {
		sluice__unblock(socket);
		sluice__buffer_has_space(socket);
		if (unlikely(sluice__is_filtered(socket)))
			filtered_socket_writable(socket);
		else if (socket->connecting)
			sluice__connect_writable(socket);
	}
}

static void settle_send(struct sluice_socket *socket, const struct sluice__completion *completion)
{
	if (completion->request == &socket->out)
		settle_out(socket, completion);
	else
		sluice__zc_send_settle(socket, completion);
	if (unlikely(socket->state & SLUICE__ST_CANCEL_PENDING))
		sluice__cancel_marked(socket);
}

static void filtered_socket_readable(struct sluice_socket *socket,
				     const struct sluice__completion *completion)
{
	if (socket->connecting) {
		socket->in.kind = SLUICE__REQUEST_NONE;
		sluice__filter_step(socket);
	} else if (socket->receiver && !socket->receives.head) {
		socket->in.kind = SLUICE__REQUEST_NONE;
		sluice__receiver_readable(socket, completion->result);
	} else {
		sluice__receive_settle(socket, completion->result);
	}
}

static void settle_in(struct sluice_socket *socket, const struct sluice__completion *completion)
{
	switch (completion->request->kind) {
	case SLUICE__REQUEST_ACCEPT_MULTI:
		sluice__accepter_settle(socket, completion);
		break;
	case SLUICE__REQUEST_RECEIVE_MULTI:
		sluice__receiver_settle(socket, completion);
		break;
	default:
		if (unlikely(sluice__is_filtered(socket)))
			filtered_socket_readable(socket, completion);
		else
			sluice__receive_settle(socket, completion->result);
	}
}

void sluice__complete(struct sluice_engine *engine, const struct sluice__completion *completion)
{
	struct sluice__request *request = completion->request;
	struct sluice_socket *socket = request->socket;

	sluice__assert_owner(engine);
	/* Requests abandoned at the end of the engine get no completion. */
	if (unlikely(!request->armed))
		return;
	sluice__assert(engine->armed_requests > 0);
	sluice__assert(!socket || socket->armed > 0);
	if (!completion->more) {
		request->armed = false;
		request->cancelling = false;
		engine->armed_requests--;
	}
	if (!socket) {
		sluice__prefetch_settle(engine, completion);
		return;
	}
	if (!completion->more)
		socket->armed--;
	if (request == &socket->in) {
		settle_in(socket, completion);
	} else {
		settle_send(socket, completion);
		socket_ready_again(socket);
	}
	if (unlikely(sluice__socket_is_closing(socket)))
		sluice__socket_advance_close(socket);
}
