/* SPDX-License-Identifier: MIT */
/* Starts the records that other threads have pushed to the mailbox. */
#include "base/queue.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "send/send.h"
#include "socket/socket.h"

/* Bytes that the start added to cross_thread_bytes; only sends queue record_queued_bytes. */
static uint64_t record_queued_bytes(const struct sluice_args *args)
{
	if (args->last_operation < SLUICE_OPERATION_SEND)
		return 0;
	return sluice__sendq_memory(args);
}

/* Not a send. A receive is listed, or complete, before the counter is decremented. */
static void mailbox_begin_other(struct sluice_socket *socket, struct sluice_args *args)
{
	uint32_t operation = args->last_operation;

	sluice__operation_begin(socket, args, false);
	if (operation == SLUICE_OPERATION_CONNECT || operation == SLUICE_OPERATION_DISCONNECT)
		sluice__cross_thread_begun(socket);
	else
		__atomic_fetch_sub(&socket->receives_cross_thread, 1, __ATOMIC_RELEASE);
}

static void mailbox_begin_send(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__operation_begin(socket, args, false);
	sluice__cross_thread_begun(socket);
	sluice__lend_later(socket);
}

static void mailbox_begin_all(struct sluice__link *link)
{
	while (link) {
		struct sluice_args *args = sluice__record_of_link(link);
		struct sluice_socket *socket = sluice__record_socket(args);

		link = link->next;
		__atomic_fetch_sub(&socket->cross_thread_bytes, record_queued_bytes(args),
				   __ATOMIC_RELAXED);
		if (args->last_operation < SLUICE_OPERATION_SEND)
			mailbox_begin_other(socket, args);
		else
			mailbox_begin_send(socket, args);
	}
}

void sluice__mailbox_take(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	mailbox_begin_all(sluice__stack_take_all(&engine->inbox.mailbox));
}

void sluice__mailbox_close(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	mailbox_begin_all(sluice__stack_close(&engine->inbox.mailbox));
}
