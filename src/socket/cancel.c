/* SPDX-License-Identifier: MIT */
/*
 * Giving single records up: cancelled or overdue. What still waits in a queue leaves it at once. For
 * what the kernel has, the request is cancelled first; its answer says how much was taken, and then
 * the record leaves.
 */
#include <errno.h>
#include <sluice/operations.h>

#include "engine/engine.h"

static bool in_flight(const struct sluice_socket *socket, const struct sluice_args *args)
{
	if (!(socket->state & SLUICE__IN_FLIGHT))
		return false;
	for (const struct sluice_args *at = socket->queue.list.head; at; at = at->run.next) {
		if (at == args)
			return true;
		if (at == socket->flight.last)
			return false;
	}
	return false;
}

/* At once, but for what the kernel still sends from the record's own buffer. */
static struct sluice__chain *sink_of(struct sluice_socket *socket, const struct sluice_args *args)
{
	if (args == socket->queue.list.head && sluice__hold_has(socket, args))
		return sluice__hold_sink(socket);
	return &socket->engine->done;
}

/* True: the stream has to end with it. */
static bool give_up_send(struct sluice_socket *socket, struct sluice_args *args)
{
	bool half_sent = args->run.sent > 0;
	struct sluice__chain *done;

	if (in_flight(socket, args)) {
		socket->state |= SLUICE__MARKED;
		sluice__request_cancel(socket, sluice__hold_request(socket));
		return false;
	}
	if (args == socket->queue.list.head)
		sluice__file_abandon(socket);
	done = sink_of(socket, args);
	sluice__sendq_remove(&socket->queue, args);
	sluice__finish_given_up(done, args);
	sluice__settle_shorter(socket);
	return half_sent && (socket->state & SLUICE__END_ON_GIVE_UP);
}

static void give_up_marked_sends(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->queue.list.head;
	bool ends = false;

	while (args) {
		struct sluice_args *next = args->run.next;

		if (sluice__record_marked(args))
			ends |= give_up_send(socket, args);
		args = next;
	}
	/* Not sooner: it takes the rest of the queue away. */
	if (ends)
		sluice__socket_shut(socket, false, true);
}

void sluice__give_up_marked(struct sluice_socket *socket)
{
	socket->state &= ~(uint32_t)SLUICE__MARKED;
	if (socket->connecting && sluice__record_marked(socket->connecting))
		sluice__connect_give_up(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
	give_up_marked_sends(socket);
	sluice__receive_give_up_marked(socket);
}

static void mark(struct sluice_args *args)
{
	__atomic_fetch_or(&args->run.owner, SLUICE__CANCELLED, __ATOMIC_RELAXED);
}

void sluice__give_up_all(struct sluice_socket *socket)
{
	if (socket->connecting)
		mark(socket->connecting);
	for (struct sluice_args *args = socket->queue.list.head; args; args = args->run.next)
		mark(args);
	for (struct sluice_args *args = socket->receives.head; args; args = args->run.next)
		mark(args);
	sluice__give_up_marked(socket);
	sluice__accepter_stop(socket);
	sluice__receiver_stop(socket);
}

static bool is_of_thread(const struct sluice_args *args, uint32_t number)
{
	return (args->run.extras & SLUICE__OF_THREAD) && args->rare.thread == number;
}

/* True: there are some. */
static bool mark_of_thread(struct sluice_args *args, uint32_t number)
{
	bool found = false;

	for (; args; args = args->run.next) {
		if (!is_of_thread(args, number))
			continue;
		mark(args);
		found = true;
	}
	return found;
}

void sluice__give_up_of_thread(struct sluice_socket *socket, uint32_t number)
{
	bool found = mark_of_thread(socket->queue.list.head, number);

	found |= mark_of_thread(socket->receives.head, number);
	if (socket->connecting && is_of_thread(socket->connecting, number)) {
		mark(socket->connecting);
		found = true;
	}
	if (found)
		sluice__give_up_marked(socket);
}

void sluice__give_up_overdue(struct sluice_args *args)
{
	struct sluice_socket *socket = sluice__record_socket(args);

	if (args->run.extras & SLUICE__DONE)
		return;
	args->run.extras |= SLUICE__OVERDUE;
	if (args == socket->connecting)
		sluice__connect_give_up(socket, SLUICE_ERROR_TIMED_OUT, ETIMEDOUT);
	else if (args->last_operation == SLUICE_OPERATION_RECEIVE ||
		 args->last_operation == SLUICE_OPERATION_RECEIVE_FROM ||
		 args->last_operation == SLUICE_OPERATION_ACCEPT)
		sluice__receive_give_up(socket, args);
	else if (give_up_send(socket, args))
		sluice__socket_shut(socket, false, true);
}

int sluice_cancel(struct sluice_socket *socket, struct sluice_args *args)
{
	uintptr_t expected = (uintptr_t)socket | SLUICE__IN_PROGRESS;

	if (!socket || !args)
		return -EINVAL;
	if (sluice__dead(socket->engine) || (sluice__refuse(socket) & SLUICE__CLOSED))
		return -EBADF;
	if (!__atomic_compare_exchange_n(&args->run.owner, &expected, expected | SLUICE__CANCELLED,
					 false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
	    expected != ((uintptr_t)socket | SLUICE__IN_PROGRESS | SLUICE__CANCELLED))
		return -ENOENT;
	/* From here on the record may end at any time: the message names the socket. */
	sluice__attention_want_now(socket, SLUICE__WANT_CANCEL);
	return 0;
}

int sluice_socket_cancel_all(struct sluice_socket *socket)
{
	if (!socket)
		return -EINVAL;
	if (sluice__dead(socket->engine) || (sluice__refuse(socket) & SLUICE__CLOSED))
		return -EBADF;
	sluice__attention_want_now(socket, SLUICE__WANT_CANCEL_ALL);
	return 0;
}
