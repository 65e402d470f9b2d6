/* SPDX-License-Identifier: MIT */
/* Deadlines of records, and what sockets wait for a while for. */
#include "engine.h"

void sluice__deadline_arm(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_engine *engine = socket->engine;

	sluice__wheel_arm(&engine->deadlines, sluice__record_timer(args),
			  sluice__now() + (uint64_t)args->timeout_ns, SLUICE__NODE_RECORD);
}

void sluice__linger_arm(struct sluice_socket *socket, int64_t ns)
{
	struct sluice_engine *engine = socket->engine;

	sluice__wheel_arm(&engine->deadlines, &socket->linger, sluice__now() + (uint64_t)ns,
			  SLUICE__NODE_LINGER);
}

/* What the socket waited for: each of them excludes the others. */
static void linger_over(struct sluice_socket *socket)
{
	if (socket->state & SLUICE__PARTED)
		sluice__socket_linger_over(socket);
	else if (socket->state & SLUICE__RETRYING)
		sluice__datagram_retry(socket);
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

	sluice__wheel_expire_begin(&engine->deadlines, engine->now_ns);
	while ((node = sluice__wheel_expire(&engine->deadlines))) {
		if (sluice__wheel_kind(node) == SLUICE__NODE_RECORD)
			sluice__give_up_overdue(sluice__record_of_timer(node));
		else
			linger_over(sluice__socket_of_linger(node));
	}
}
