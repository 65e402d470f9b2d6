/* SPDX-License-Identifier: MIT */
/*
 * Cancelled and timed-out sends. A queued record leaves its queue immediately. For a record in
 * flight the request is cancelled first; its completion reports how much was taken, then the record
 * leaves.
 */
#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "send/send.h"

static bool is_in_flight(const struct sluice_socket *socket, const struct sluice_args *args)
{
	if (!(socket->state & SLUICE__ST_IN_FLIGHT))
		return false;
	for (const struct sluice_args *at = sluice__sendq_head(&socket->queue); at;
	     at = at->run.next) {
		if (at == args)
			return true;
		if (at == socket->flight.last)
			return false;
	}
	return false;
}

/* The list for the cancelled record: it waits if the kernel still sends from its buffer. */
static struct sluice__chain *cancel_done(struct sluice_socket *socket,
					 const struct sluice_args *args)
{
	if (args == sluice__sendq_head(&socket->queue) && sluice__zc_send_has(socket, args))
		return sluice__zc_send_done(socket);
	return &socket->engine->done;
}

/* Nothing else resumes a socket that waited for the file of the record which has left. */
static void resume_behind(struct sluice_socket *socket)
{
	if (!sluice__sendq_is_empty(&socket->queue) &&
	    !(socket->state & (SLUICE__ST_BLOCKED | SLUICE__ST_IN_FLIGHT)))
		sluice__ready(socket);
}

/* Returns true if the stream has to end with the record. */
static bool cancel_send(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice__chain *done;
	uint64_t sealed = 0;
	bool half_sent;

	if (is_in_flight(socket, args)) {
		socket->state |= SLUICE__ST_CANCEL_PENDING;
		sluice__request_cancel(socket, sluice__zc_send_request(socket));
		return false;
	}
	if (args == sluice__sendq_head(&socket->queue))
		sluice__file_abandon(socket);
	if (sluice__sends_filtered(socket))
		sealed = sluice__filter_forget(socket, args);
	done = cancel_done(socket, args);
	sluice__sendq_remove(&socket->queue, args);
	args->run.sent += sealed;
	half_sent = args->run.sent > 0;
	sluice__finish_cancelled(done, args);
	sluice__settle_shorter(socket);
	resume_behind(socket);
	return half_sent && (socket->state & SLUICE__ST_END_ON_GIVE_UP);
}

void sluice__send_cancel_marked(struct sluice_socket *socket)
{
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	bool ends = false;

	socket->state &= ~(uint32_t)SLUICE__ST_CANCEL_PENDING;
	sluice__assert_owner(socket->engine);
	while (args) {
		struct sluice_args *next = args->run.next;

		if (sluice__record_marked(args))
			ends |= cancel_send(socket, args);
		args = next;
	}
	/* After the loop: it empties the queue. */
	if (ends)
		sluice__settle_shut(socket);
}

void sluice__send_cancel(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert_owner(socket->engine);
	if (cancel_send(socket, args))
		sluice__settle_shut(socket);
}
