/* SPDX-License-Identifier: MIT */
/* Arms the deadlines of records and the timer of a socket; expire.c handles what has passed. */
#include "engine/socket.h"
#include "engine/state.h"

void sluice__deadline_arm(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	sluice__assert(args->run.extras & SLUICE__DEADLINE);
	sluice__wheel_arm(&engine->deadlines, sluice__record_timer(args),
			  sluice__now() + sluice__record_timeout(args), SLUICE__NODE_RECORD);
}

void sluice__linger_arm(struct sluice_socket *socket, int64_t ns)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	sluice__assert(ns >= 0);
	sluice__wheel_arm(&engine->deadlines, &socket->linger, sluice__now() + (uint64_t)ns,
			  SLUICE__NODE_LINGER);
}

void sluice__descriptor_freed(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	for (struct sluice__retry *retry = engine->accept_retries; retry; retry = retry->next)
		sluice__linger_arm(retry->listener, 0);
}
