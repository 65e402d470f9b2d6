/* SPDX-License-Identifier: MIT */
/*
 * Lock-free lists from any thread to the engine's thread: records to start, and sockets with
 * intents. No message refers to a record that may have completed.
 */
#include "engine/inbox.h"

#include "base/queue.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args)
{
	switch (sluice__stack_push(&engine->mailbox, sluice__record_link(args))) {
	case SLUICE__PUSH_CLOSED:
		return false;
	case SLUICE__PUSHED_FIRST:
		sluice__engine_wake_if_asleep(engine);
		return true;
	default:
		return true;
	}
}

void sluice__intents_post(struct sluice_socket *socket, uint32_t intents)
{
	struct sluice_engine *engine = socket->engine;

	if (__atomic_fetch_or(&socket->intents, intents, __ATOMIC_SEQ_CST) == 0)
		sluice__stack_push(&engine->intents, &socket->intents_link);
	if (!sluice__is_owner(engine))
		sluice__engine_wake_if_asleep(engine);
}
