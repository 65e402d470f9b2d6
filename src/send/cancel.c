/* SPDX-License-Identifier: MIT */
/*
 * Cancelled and overdue sends. One that waits in its queue leaves it at once. For one that the kernel
 * has, the request is cancelled first; its answer says how much was taken, and then the record leaves.
 */
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "send/send.h"

static bool in_flight(const struct sluice_socket *socket, const struct sluice_args *args)
{
	if (!(socket->state & SLUICE__ST_IN_FLIGHT))
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
	if (args == socket->queue.list.head && sluice__zc_send_has(socket, args))
		return sluice__zc_send_sink(socket);
	return &socket->engine->done;
}

/* True: the stream has to end with it. */
static bool give_up_send(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice__chain *done;
	uint64_t sealed = 0;
	bool half_sent;

	if (in_flight(socket, args)) {
		socket->state |= SLUICE__ST_CANCEL_PENDING;
		sluice__request_cancel(socket, sluice__zc_send_request(socket));
		return false;
	}
	if (args == socket->queue.list.head)
		sluice__file_abandon(socket);
	if (sluice__sends_filtered(socket))
		sealed = sluice__filter_forget(socket, args);
	done = sink_of(socket, args);
	sluice__sendq_remove(&socket->queue, args);
	args->run.sent += sealed;
	half_sent = args->run.sent > 0;
	sluice__finish_given_up(done, args);
	sluice__settle_shorter(socket);
	return half_sent && (socket->state & SLUICE__ST_END_ON_GIVE_UP);
}

void sluice__send_give_up_marked(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->queue.list.head;
	bool ends = false;

	sluice__assert_owner(socket->engine);
	while (args) {
		struct sluice_args *next = args->run.next;

		if (sluice__record_marked(args))
			ends |= give_up_send(socket, args);
		args = next;
	}
	/* Not sooner: it takes the rest of the queue away. */
	if (ends)
		sluice__settle_shut(socket);
}

void sluice__send_give_up(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert_owner(socket->engine);
	if (give_up_send(socket, args))
		sluice__settle_shut(socket);
}
