/* SPDX-License-Identifier: MIT */
/* Cancels records: by sluice_cancel, by their deadline, or because their starting thread exited. */
#include <errno.h>

#include "base/assert.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

void sluice__cancel_marked(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->connecting && sluice__record_marked(socket->connecting))
		sluice__connect_cancel_record(socket, socket->connecting);
	sluice__send_cancel_marked(socket);
	sluice__receive_cancel_marked(socket);
}

static void mark_cancelled(struct sluice_args *args)
{
	__atomic_fetch_or(&args->run.owner, SLUICE__CANCELLED, __ATOMIC_RELAXED);
}

void sluice__cancel_all(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->connecting)
		mark_cancelled(socket->connecting);
	for (struct sluice_args *args = sluice__sendq_head(&socket->queue); args;
	     args = args->run.next)
		mark_cancelled(args);
	for (struct sluice_args *args = socket->receives.head; args; args = args->run.next)
		mark_cancelled(args);
	sluice__cancel_marked(socket);
	sluice__accepter_stop(socket);
	sluice__receiver_stop(socket);
}

static bool is_of_thread(const struct sluice_args *args, uint32_t thread)
{
	return (args->run.op_flags & SLUICE__OP_OF_THREAD) && args->rare.thread == thread;
}

/* Marks the records of a list that this thread started. Returns true if there are any. */
static bool mark_of_thread(struct sluice_args *args, uint32_t thread)
{
	bool found = false;

	for (; args; args = args->run.next) {
		if (!is_of_thread(args, thread))
			continue;
		mark_cancelled(args);
		found = true;
	}
	return found;
}

void sluice__cancel_of_thread(struct sluice_socket *socket, uint32_t thread)
{
	bool found;

	sluice__assert_owner(socket->engine);
	sluice__reclaim(socket);
	found = mark_of_thread(sluice__sendq_head(&socket->queue), thread);
	found |= mark_of_thread(socket->receives.head, thread);
	if (socket->connecting && is_of_thread(socket->connecting, thread)) {
		mark_cancelled(socket->connecting);
		found = true;
	}
	if (found)
		sluice__cancel_marked(socket);
}

void sluice__cancel_overdue(struct sluice_args *args)
{
	sluice__assert_owner(sluice__record_socket(args)->engine);
	sluice__assert(args->run.op_flags & SLUICE__OP_DEADLINE);
	if (args->run.op_flags & SLUICE__OP_LEFT_QUEUE)
		return;
	args->run.op_flags |= SLUICE__OP_OVERDUE;
	sluice__operation_cancel(sluice__record_socket(args), args);
}
