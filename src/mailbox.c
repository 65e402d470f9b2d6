/* SPDX-License-Identifier: MIT */
/*
 * What other threads start. One list head, pushed to by compare-and-swap and taken whole by
 * exchange: no lock, no message that points at a record which may have ended.
 */
#include "engine.h"

/* What the start counted as foreign: sends hold memory, other operations none. */
static uint64_t memory(const struct sluice_args *args)
{
	if (args->last_operation < SLUICE_OPERATION_SEND)
		return 0;
	return sluice__sendq_memory(args);
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

		oldest->run.extras &= ~(uint32_t)SLUICE__FOREIGN;
		__atomic_fetch_sub(&socket->foreign_bytes, memory(oldest), __ATOMIC_RELAXED);
		sluice__begin(socket, oldest, false);
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
