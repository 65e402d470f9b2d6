/* SPDX-License-Identifier: MIT */
/* Dispatches deadlines that have passed, as completion.c dispatches completions. */
#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

/* What the socket waited for: each of them excludes the others. */
static void linger_over(struct sluice_socket *socket)
{
	if (socket->state & SLUICE__PARTED)
		sluice__socket_linger_over(socket);
	else if ((socket->state & SLUICE__RETRYING) && sluice__datagram_retry(socket))
		return;
	else if (socket->state & SLUICE__GRACEFUL)
		sluice__socket_end(socket);
	else if (socket->connecting)
		sluice__connect_retry(socket);
	else if (socket->accepter)
		sluice__accepter_retry(socket);
}

void sluice__deadline_expire(struct sluice_engine *engine)
{
	struct sluice__wheel_node *node;

	sluice__assert_owner(engine);
	sluice__wheel_expire_begin(&engine->deadlines, engine->now_ns);
	while ((node = sluice__wheel_expire(&engine->deadlines))) {
		if (sluice__wheel_kind(node) == SLUICE__NODE_RECORD)
			sluice__give_up_overdue(sluice__record_of_timer(node));
		else
			linger_over(sluice__socket_of_linger(node));
	}
}
