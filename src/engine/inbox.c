/* SPDX-License-Identifier: MIT */
/*
 * Lock-free lists from any thread to the engine's thread: records to start, and sockets with
 * intents; and how it is woken for them. No message refers to a record that may have completed.
 */
#include "engine/inbox.h"

#include "backend/backend.h"
#include "base/queue.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args)
{
	switch (sluice__stack_push(&engine->inbox.mailbox, sluice__record_link(args))) {
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
		sluice__stack_push(&engine->inbox.intents, &socket->intents_link);
	if (!sluice__is_owner(engine))
		sluice__engine_wake_if_asleep(engine);
}

void sluice__engine_wake_if_asleep(struct sluice_engine *engine)
{
	/* A forked child shares the eventfd with its parent and would wake it. */
	if (sluice__dead(engine) & SLUICE__DEAD_FORKED)
		return;
	/*
	 * The push before this call and the owner's check of the lists after setting `asleep` must
	 * not miss each other: all four accesses are sequentially consistent.
	 */
	if (__atomic_load_n(&engine->wakeup.asleep, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&engine->wakeup.asleep, 0, __ATOMIC_ACQ_REL)) {
		__atomic_fetch_add(&engine->wakeup.count, 1, __ATOMIC_RELAXED);
		engine->backend->wake(engine);
	}
}
