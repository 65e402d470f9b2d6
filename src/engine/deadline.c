/* SPDX-License-Identifier: MIT */
/* Arms the deadlines of records and the timers of sockets; loop/expire.c dispatches them. */
#include "engine/deadline.h"

#include "base/assert.h"
#include "base/wheel.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

void sluice__deadline_arm(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	sluice__assert(args->run.op_flags & SLUICE__OP_DEADLINE);
	sluice__wheel_arm(&engine->deadlines, sluice__record_timer(args),
			  sluice__now() + sluice__record_timeout(args), SLUICE__NODE_RECORD);
}

void sluice__timer_arm(struct sluice_socket *socket, unsigned int node, int64_t ns)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	sluice__assert(node != SLUICE__NODE_RECORD);
	sluice__assert(!sluice__wheel_is_armed(&socket->timer) ||
		       sluice__wheel_kind(&socket->timer) == node ||
		       (node == SLUICE__NODE_RETRY_SEND && (socket->state & SLUICE__ST_GRACEFUL)));
	sluice__wheel_arm(&engine->deadlines, &socket->timer, sluice__now() + (uint64_t)ns, node);
}

void sluice__timer_disarm(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__wheel_disarm(&socket->engine->deadlines, &socket->timer);
}

void sluice__descriptor_freed(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	for (struct sluice__retry *retry = engine->accept_retries; retry; retry = retry->next)
		sluice__timer_arm(retry->listener, SLUICE__NODE_RETRY_ACCEPT, 0);
}
