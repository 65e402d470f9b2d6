/* SPDX-License-Identifier: MIT */
/*
 * What other threads start. One list head, pushed to by compare-and-swap and taken whole by
 * exchange: no lock, no message that points at a record which may have ended.
 */
#include "engine/engine.h"

/* What the start counted as foreign: sends hold memory, other operations none. */
static uint64_t memory(const struct sluice_args *args)
{
	if (args->last_operation < SLUICE_OPERATION_SEND)
		return 0;
	return sluice__sendq_memory(args);
}

/* Not a send. One that receives is in the socket's list, or over, before it counts no longer. */
static void begin_other(struct sluice_socket *socket, struct sluice_args *args)
{
	uint32_t operation = args->last_operation;

	sluice__operation_begin(socket, args, false);
	if (operation != SLUICE_OPERATION_CONNECT && operation != SLUICE_OPERATION_DISCONNECT)
		__atomic_fetch_sub(&socket->receives_foreign, 1, __ATOMIC_RELEASE);
}

/* Newest first as it was taken; begun oldest first. */
static void begin_all(struct sluice_args *args)
{
	struct sluice_args *oldest = NULL;

	while (args) {
		struct sluice_args *next = args->run.next;

		args->run.next = oldest;
		oldest = args;
		args = next;
	}
	while (oldest) {
		struct sluice_args *next = oldest->run.next;
		struct sluice_socket *socket = sluice__record_socket(oldest);

		__atomic_fetch_sub(&socket->foreign_bytes, memory(oldest), __ATOMIC_RELAXED);
		if (oldest->last_operation < SLUICE_OPERATION_SEND)
			begin_other(socket, oldest);
		else
			sluice__operation_begin(socket, oldest, false);
		oldest = next;
	}
}

void sluice__mailbox_take(struct sluice_engine *engine)
{
	if (__atomic_load_n(&engine->mailbox, __ATOMIC_RELAXED))
		begin_all(__atomic_exchange_n(&engine->mailbox, NULL, __ATOMIC_ACQUIRE));
}

void sluice__mailbox_close(struct sluice_engine *engine)
{
	begin_all(__atomic_exchange_n(&engine->mailbox, SLUICE__MAILBOX_CLOSED, __ATOMIC_ACQUIRE));
}
