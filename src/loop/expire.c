/* SPDX-License-Identifier: MIT */
/* Dispatches expired deadlines, as completion.c dispatches completions. */
#include "base/wheel.h"
#include "core/record.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "filter/filter.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

static void socket_retry_send(struct sluice_socket *socket)
{
	if ((socket->state & SLUICE__ST_GRACEFUL) && socket->graceful_ns >= 0 &&
	    (int64_t)socket->engine->now_ns >= socket->graceful_ns) {
		sluice__socket_end(socket);
		return;
	}
	if (socket->connecting)
		sluice__connect_retry(socket);
	else if (sluice__filter_owes_shut(socket))
		sluice__send_fin(socket);
	else
		sluice__datagram_retry(socket);
	sluice__socket_bound_graceful(socket);
}

static void dispatch_deadline(struct sluice__wheel_node *node)
{
	switch (sluice__wheel_kind(node)) {
	case SLUICE__NODE_RECORD:
		sluice__cancel_overdue(sluice__record_of_timer(node));
		break;
	case SLUICE__NODE_CLOSE:
		sluice__socket_close_timer(sluice__socket_of_timer(node));
		break;
	case SLUICE__NODE_RETRY_SEND:
		socket_retry_send(sluice__socket_of_timer(node));
		break;
	default:
		sluice__accepter_retry(sluice__socket_of_timer(node));
	}
}

void sluice__deadline_expire(struct sluice_engine *engine)
{
	struct sluice__wheel_node *node;

	sluice__assert_owner(engine);
	sluice__wheel_expire_begin(&engine->deadlines, engine->now_ns);
	while ((node = sluice__wheel_expire(&engine->deadlines)))
		dispatch_deadline(node);
}
