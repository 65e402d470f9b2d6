/* SPDX-License-Identifier: MIT */
/*
 * Applies results to records. Nothing here calls a handler: completed records go to the engine's
 * list of records to deliver.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "core/record.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "engine/inbox.h"
#include "engine/marks.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "engine/stats.h"
#include "file/file.h"
#include "filter/filter.h"
#include "send/send.h"

static int32_t settle_error(int error_number)
{
	return sluice_socket_error_from_errno(error_number);
}

void sluice__settle_shorter(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__marks_fall(socket);
	if ((socket->state & SLUICE__ST_GRACEFUL) && sluice__sendq_is_empty(&socket->queue))
		sluice__intents_post(socket, SLUICE__WANT_CLOSE);
}

/*
 * The record that has just been sent requested a disconnect after its last byte; the records behind
 * it in the queue end with Shutdown.
 */
void sluice__settle_end_of_stream(struct sluice_socket *socket, bool reuse)
{
	sluice__assert_owner(socket->engine);
	sluice__socket_disconnect(socket, reuse);
	sluice__settle_abort(socket, SLUICE_ERROR_SHUTDOWN, EPIPE, SLUICE_ERROR_SHUTDOWN, EPIPE);
}

/*
 * Continues behind finished records. last_flags are the op_flags of the last record of the
 * transmission; `ended`: it is among the finished ones.
 */
static void settle_behind(struct sluice_socket *socket, uint64_t records, uint32_t last_flags,
			  bool ended)
{
	socket->records_sent += records;
	sluice__count_transmission(socket->engine, records);
	if (unlikely((last_flags & SLUICE__OP_THEN_DISCONNECT) && ended))
		sluice__settle_end_of_stream(socket, last_flags & SLUICE__OP_REUSE);
	sluice__uncork_behind(socket, last_flags);
	if (unlikely(socket->state & (SLUICE__ST_ABOVE_HIGH | SLUICE__ST_GRACEFUL)))
		sluice__settle_shorter(socket);
}

void sluice__sent_head(struct sluice_socket *socket)
{
	const struct sluice_args *args = sluice__sendq_head(&socket->queue);
	uint32_t op_flags = args->run.op_flags;

	sluice__assert_owner(socket->engine);
	sluice__sendq_finish_head(&socket->queue, sluice__done(socket), SLUICE_ERROR_SUCCESS, 0,
				  args->run.sent);
	settle_behind(socket, 1, op_flags, true);
}

static __attribute__((noinline)) void settle_unusual(struct sluice_socket *socket, uint64_t taken,
						     struct sluice__chain *done)
{
	struct sluice__flight *flight = &socket->flight;
	uint32_t last_flags = flight->plain ? 0 : flight->last->run.op_flags;
	struct sluice_args *last = flight->last;
	uint64_t records = sluice__sendq_settle(&socket->queue, flight, taken, done);

	settle_behind(socket, records, last_flags, done->end == &last->run.next);
}

void sluice__settle_sent(struct sluice_socket *socket, uint64_t taken)
{
	struct sluice__chain *done = sluice__done(socket);

	sluice__assert_owner(socket->engine);
	sluice__assert(taken <= socket->flight.bytes);
	socket->transmissions++;
	socket->bytes_sent += taken;
	if (likely(!(socket->state &
		     (SLUICE__ST_CORKED | SLUICE__ST_ABOVE_HIGH | SLUICE__ST_GRACEFUL)) &&
		   sluice__sendq_settle_plain(&socket->queue, &socket->flight, taken, done))) {
		socket->records_sent += socket->flight.records;
		sluice__count_transmission(socket->engine, socket->flight.records);
	} else {
		settle_unusual(socket, taken, done);
	}
}

/* An armed receive got the reset, or will get it: it would have seen an orderly end. */
static bool receive_took_reset(const struct sluice_socket *socket)
{
	return socket->in.armed && !(socket->state & SLUICE__ST_END_SEEN) &&
	       !(sluice__socket_flags(socket) &
		 (SLUICE__SHARED_NOT_TCP | SLUICE__SHARED_SHUT_RECEIVE));
}

/*
 * The kernel reports a reset once, to the direction that makes the next call, and EPIPE to the
 * other. So it is remembered: the first send afterwards reports it, later ones Shutdown.
 */
int sluice__settle_errno(struct sluice_socket *socket, int error_number)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(error_number > 0);
	if (error_number == ECONNRESET || (error_number == EPIPE && receive_took_reset(socket)))
		sluice__socket_saw_reset(socket);
	if (error_number != EPIPE && error_number != ECONNRESET)
		return error_number;
	if (sluice__socket_flags(socket) & (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED))
		return EPIPE;
	if (!(socket->state & SLUICE__ST_RESET_SEEN) || (socket->state & SLUICE__ST_RESET_SENT))
		return EPIPE;
	sluice__socket_reported_reset(socket);
	return ECONNRESET;
}

void sluice__settle_abort(struct sluice_socket *socket, int32_t error, int32_t native,
			  int32_t rest_error, int32_t rest_native)
{
	struct sluice_args *head = sluice__sendq_head(&socket->queue);
	struct sluice__chain *first = sluice__done(socket), *rest = first;

	sluice__assert_owner(socket->engine);
	if (!head)
		return;
	sluice__file_abandon(socket);
	if (sluice__sends_filtered(socket))
		sluice__filter_forget_all(socket);
	/* After a shutdown only a record whose buffer the kernel still uses waits for the peer. */
	if (sluice__socket_flags(socket) & SLUICE__SHARED_SHUT_SEND) {
		rest = &socket->engine->done;
		if (!sluice__zc_send_has(socket, head))
			first = rest;
	}
	sluice__sendq_finish_head(&socket->queue, first, error, native, head->run.sent);
	sluice__sendq_fail(&socket->queue, rest_error, rest_native, rest_error, rest_native, rest);
	sluice__settle_shorter(socket);
}

void sluice__settle_failed(struct sluice_socket *socket, int error_number)
{
	int native = sluice__settle_errno(socket, error_number);

	sluice__assert_owner(socket->engine);
	sluice__assert(error_number > 0);
	sluice__settle_abort(socket, settle_error(native), native, SLUICE_ERROR_SHUTDOWN, EPIPE);
}

void sluice__settle_shut(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (sluice__socket_is_closing(socket))
		return;
	sluice__reclaim(socket);
	if (sluice__is_filtered(socket) && sluice__sendq_is_empty(&socket->queue))
		sluice__filter_goodbye(socket);
	sluice__socket_flags_set(socket, SLUICE__SHARED_SHUT_SEND);
	sluice__send_fin(socket);
	/* A request in flight completes with EPIPE or its bytes; the rest ends then. */
	if (socket->state & SLUICE__ST_IN_FLIGHT) {
		if (sluice__filter_owes_shut(socket))
			sluice__request_cancel(socket, &socket->out);
		return;
	}
	sluice__settle_abort(socket, SLUICE_ERROR_SHUTDOWN, EPIPE, SLUICE_ERROR_SHUTDOWN, EPIPE);
}

/* ---- completions of the backend ---- */

void sluice__settle_result(struct sluice_socket *socket, int32_t result)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(result < 0 || (uint64_t)result <= socket->flight.bytes);
	sluice__flight_ended(socket);
	/* SQPOLL may complete a send with 0 although it has bytes (liburing issue 1435): retry. */
	if (unlikely(result == 0 && socket->flight.bytes))
		result = -EAGAIN;
	if (result >= 0) {
		if ((uint64_t)result == socket->flight.bytes)
			sluice__buffer_has_space(socket);
		sluice__settle_sent(socket, (uint64_t)result);
	} else if (result == -EAGAIN || result == -EINTR) {
		/* A closing socket waits for nothing. */
		if (!sluice__socket_is_closing(socket))
			sluice__transmit_blocked(socket);
	} else if (result != -ECANCELED) {
		sluice__settle_failed(socket, -result);
	}
	/* Without FIN, which has to wait, the rest would be sent. */
	if (unlikely(sluice__socket_flags(socket) & SLUICE__SHARED_SHUT_SEND) &&
	    !sluice__sendq_is_empty(&socket->queue) && sluice__filter_owes_shut(socket))
		sluice__settle_failed(socket, EPIPE);
}
