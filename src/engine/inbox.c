/* SPDX-License-Identifier: MIT */
/*
 * What any thread may leave for the engine's: records to start, and sockets that need attention. Each
 * list has one head, pushed to by compare-and-swap and taken whole by exchange: no lock, and no
 * message points at a record that may have ended. mailbox.c and loop/intents.c take them.
 */
#include "engine/engine.h"

bool sluice__mailbox_push(struct sluice_engine *engine, struct sluice_args *args)
{
	struct sluice_args *first = __atomic_load_n(&engine->mailbox, __ATOMIC_RELAXED);

	do {
		if (first == SLUICE__MAILBOX_CLOSED)
			return false;
		args->run.next = first;
	} while (!__atomic_compare_exchange_n(&engine->mailbox, &first, args, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	/* The record may be gone by now. Who found the box empty has the engine woken. */
	if (!first)
		sluice__engine_nudge(engine);
	return true;
}

static void attention_push(struct sluice_engine *engine, struct sluice_socket *socket)
{
	struct sluice_socket *first = __atomic_load_n(&engine->attention, __ATOMIC_RELAXED);

	do {
		socket->attention_next = first;
	} while (!__atomic_compare_exchange_n(&engine->attention, &first, socket, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

void sluice__attention_want(struct sluice_socket *socket, uint32_t wants)
{
	struct sluice_engine *engine = socket->engine;

	if (__atomic_fetch_or(&socket->attention, wants, __ATOMIC_SEQ_CST) == 0)
		attention_push(engine, socket);
	if (!sluice__is_owner(engine))
		sluice__engine_nudge(engine);
}
