/* SPDX-License-Identifier: MIT */
/*
 * receive_start: delivers every byte of a stream, in the engine's buffers, until it ends or is
 * stopped. Received buffers wait in a list of the socket; handlers take them while fewer buffers
 * are lent than the socket may have. At that limit reading pauses, and resumes when one is
 * released.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "engine/budget.h"
#include "engine/buffers.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "filter/filter.h"
#include "recv/recv.h"

struct sluice__receiver {
	sluice_received_fn *on_received;
	void *token;
	struct sluice_socket *socket; /* NULL after the terminal call */
	struct sluice__fifo received; /* undelivered buffers */
	struct sluice__link paused_link;
	uint32_t lent;    /* buffers that the application holds */
	uint32_t waiting; /* buffers in received */
	bool many;        /* the request may receive more than one buffer */
	bool full;        /* paused because its own consumer holds all its buffers */
	int32_t error;    /* of the terminal call */
	int32_t native;
	bool ended; /* the terminal call is due, after the received buffers */
	bool stopping;
	bool paused;  /* in engine->receive_pool.paused: the pool had no buffer */
	bool filling; /* receiving from the filter */
};

int sluice__receiver_install(struct sluice_socket *socket,
			     const struct sluice_receive_options *options)
{
	struct sluice__receiver *none = NULL;
	struct sluice__receiver *receiver = sluice__allocate(socket->engine, sizeof *receiver);

	if (!receiver)
		return -ENOMEM;
	receiver->on_received = options->on_received;
	receiver->token = options->token;
	sluice__fifo_init(&receiver->received);
	receiver->socket = socket;
	if (__atomic_compare_exchange_n(&socket->receiver, &none, receiver, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return 0;
	free(receiver);
	return -EBUSY;
}

/* Most buffers of the socket. Its current share is smaller while the pool is short of buffers. */
static uint32_t buffer_limit(const struct sluice__receiver *receiver)
{
	return receiver->socket->engine->options.receive_buffers_per_socket;
}

static uint32_t buffer_share(const struct sluice__receiver *receiver)
{
	return sluice__buffers_share(receiver->socket->engine);
}

static bool has_received(const struct sluice__receiver *receiver)
{
	return !sluice__fifo_is_empty(&receiver->received);
}

static uint32_t buffers_used(const struct sluice__receiver *receiver)
{
	return receiver->lent + receiver->waiting;
}

static bool is_full(const struct sluice__receiver *receiver)
{
	return receiver->lent >= buffer_limit(receiver);
}

/*
 * Buffers that the next request may use. A multishot keeps receiving while it is being cancelled.
 * So it may use only half of the socket's share, and only while the other half is free; after that,
 * requests receive one buffer each.
 */
static uint32_t buffers_allowed(const struct sluice__receiver *receiver)
{
	uint32_t whole = buffer_share(receiver);
	uint32_t half = whole / 2;

	if (buffers_used(receiver) >= whole)
		return 0;
	return buffers_used(receiver) < half ? half : 1;
}

static void end_stream(struct sluice_socket *socket, int32_t error, int32_t native)
{
	struct sluice__receiver *receiver = socket->receiver;

	if (receiver->ended)
		return;
	receiver->ended = true;
	receiver->error = error;
	receiver->native = native;
	sluice__event(socket, SLUICE__EVENT_RECEIVED);
}

void sluice__receiver_end(struct sluice_socket *socket, int32_t error, int32_t native)
{
	sluice__assert_owner(socket->engine);
	if (socket->receiver)
		end_stream(socket, error, native);
}

static void fill_from_filter(struct sluice_socket *socket);

static void fill_stream_request(struct sluice_socket *socket, uint32_t buffers)
{
	socket->in.length = (uint64_t)buffers * socket->engine->options.receive_buffer_bytes;
	socket->in.kind = SLUICE__REQUEST_RECEIVE_MULTI;
	if (sluice__is_filtered(socket)) {
		socket->in.message = NULL;
		socket->in.kind = SLUICE__REQUEST_READABLE;
	}
}

static void arm_receive(struct sluice_socket *socket)
{
	struct sluice__receiver *receiver = socket->receiver;
	uint32_t buffers = buffers_allowed(receiver);
	int error;

	if (receiver->ended || receiver->paused || receiver->stopping || socket->in.armed ||
	    sluice__socket_is_closing(socket))
		return;
	if (!buffers) {
		socket->engine->statistics.receive_pauses += !receiver->full;
		receiver->full = true;
		return;
	}
	receiver->full = false;
	receiver->many = buffers > 1 && !sluice__is_filtered(socket);
	/* The kernel does not signal data that the filter has buffered. */
	if (sluice__is_filtered(socket) && sluice__filter_pending(socket) && !receiver->filling) {
		fill_from_filter(socket);
		return;
	}
	error = sluice__buffers_open(socket->engine);
	if (!error) {
		fill_stream_request(socket, buffers);
		error = sluice__request_start(socket, &socket->in);
	}
	if (error)
		end_stream(socket, sluice_socket_error_from_errno(error), -error);
}

void sluice__receiver_begin(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->receiver && !socket->receives.head &&
	    !(sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING))
		arm_receive(socket);
}

void sluice__receiver_stop(struct sluice_socket *socket)
{
	struct sluice__receiver *receiver = socket->receiver;

	sluice__assert_owner(socket->engine);
	if (!receiver || receiver->stopping)
		return;
	receiver->stopping = true;
	if (socket->in.armed)
		sluice__request_cancel(socket, &socket->in);
	else
		end_stream(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
}

/*
 * A reset is remembered: after a send has met it, a receive that sees the end of the stream reports
 * the reset, and vice versa.
 */
int64_t sluice__receive_result(struct sluice_socket *socket, int64_t result)
{
	sluice__assert_owner(socket->engine);
	if (result > 0) {
		socket->bytes_received += (uint64_t)result;
		socket->engine->statistics.bytes_received += (uint64_t)result;
	} else if (result == -ECONNRESET) {
		sluice__socket_saw_reset(socket);
	} else if (result == 0 && !(sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM)) {
		if (socket->state & SLUICE__ST_RESET_SEEN)
			return -ECONNRESET;
		sluice__socket_saw_end(socket);
	}
	return result;
}

static void add_received(struct sluice_socket *socket, struct sluice_buffer *buffer,
			 uint32_t length)
{
	struct sluice__receiver *receiver = socket->receiver;

	/* Before the pool is empty, so that the next receive finds a buffer. */
	if (++socket->engine->receive_pool.out * 2 > socket->engine->receive_pool.count)
		sluice__buffers_grow(socket->engine);
	buffer->length = length;
	sluice__fifo_push(&receiver->received, &buffer->link);
	receiver->waiting++;
	sluice__receive_result(socket, length);
	sluice__event(socket, SLUICE__EVENT_RECEIVED);
}

/* The pool has no buffer: queues the receiver for the next released one. */
static void wait_for_buffer(struct sluice__receiver *receiver)
{
	struct sluice_engine *engine = receiver->socket->engine;

	engine->statistics.receive_pauses++;
	receiver->paused = true;
	sluice__fifo_push(&engine->receive_pool.paused, &receiver->paused_link);
}

static void receive_ended(struct sluice_socket *socket, int32_t result)
{
	struct sluice__receiver *receiver = socket->receiver;

	if (result == -ENOBUFS && !receiver->stopping) {
		if (sluice__buffers_grow(socket->engine))
			arm_receive(socket);
		else
			wait_for_buffer(receiver);
		return;
	}
	if (result == 0 || (result < 0 && result != -ECANCELED && result != -EAGAIN &&
			    result != -EINTR && result != -ENOBUFS)) {
		int64_t last = sluice__receive_result(socket, result);

		end_stream(socket, sluice_socket_error_from_errno((int)last), (int32_t)-last);
		return;
	}
	if (receiver->stopping)
		end_stream(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
	else
		arm_receive(socket);
}

/* ---- through a filter ---- */

/* Fills one buffer. Returns its bytes, 0 at the end of the stream, or a negative errno. */
static int64_t fill_buffer(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice_buffer *buffer = sluice__buffer_own(engine);
	struct iovec segment;
	int64_t result;

	if (!buffer)
		return engine->receive_pool.out < engine->receive_pool.most ? -ENOMEM : -ENOBUFS;
	segment = (struct iovec){buffer->data, engine->options.receive_buffer_bytes};
	result = sluice__filter_receive(socket, &segment, 1, 0);
	if (result > 0) {
		add_received(socket, buffer, (uint32_t)result);
		return result;
	}
	engine->receive_pool.out++;
	sluice__buffer_drop(engine, buffer);
	return result;
}

static void fill_from_filter(struct sluice_socket *socket)
{
	struct sluice__receiver *receiver = socket->receiver;
	int64_t result = sluice__buffers_open(socket->engine);
	uint32_t left = buffers_allowed(receiver);

	receiver->filling = true;
	if (result == 0) {
		do {
			result = fill_buffer(socket);
		} while (result > 0 && --left > 0);
	}
	receiver->filling = false;
	if (result > 0)
		result = -EAGAIN;
	receive_ended(socket, (int32_t)result);
}

void sluice__receiver_readable(struct sluice_socket *socket, int32_t result)
{
	struct sluice__receiver *receiver = socket->receiver;

	sluice__assert_owner(socket->engine);
	if (receiver->ended || (socket->state & SLUICE__PHASE_MASK))
		return;
	if (result < 0 || receiver->stopping)
		receive_ended(socket, result < 0 ? result : -ECANCELED);
	else if (buffers_allowed(receiver))
		fill_from_filter(socket);
	else
		arm_receive(socket);
}

void sluice__receiver_settle(struct sluice_socket *socket,
			     const struct sluice__completion *completion)
{
	sluice__assert_owner(socket->engine);
	if (!socket->receiver) {
		if (completion->result > 0)
			socket->engine->backend->buffer_return(socket->engine, completion->buffer);
		return;
	}
	if (completion->result > 0)
		add_received(socket, sluice__buffer(socket->engine, completion->buffer),
			     (uint32_t)completion->result);
	if (!completion->more)
		receive_ended(socket, completion->result);
}

/* ---- released buffers ---- */

static void free_if_ended(struct sluice__receiver *receiver)
{
	if (!receiver->socket && receiver->lent == 0)
		free(receiver);
}

void sluice__receiver_returned(struct sluice__receiver *receiver)
{
	struct sluice_socket *socket = receiver->socket;

	sluice__assert(receiver->lent > 0);
	receiver->lent--;
	if (!socket) {
		free_if_ended(receiver);
		return;
	}
	if (has_received(receiver) || receiver->ended)
		sluice__event(socket, SLUICE__EVENT_RECEIVED);
	sluice__receiver_begin(socket);
}

static struct sluice__receiver *pop_paused(struct sluice_engine *engine)
{
	return sluice__element(sluice__fifo_pop(&engine->receive_pool.paused),
			       struct sluice__receiver, paused_link);
}

static void resume_paused(struct sluice_engine *engine)
{
	struct sluice__receiver *receiver;
	bool armed = false;

	/* A receiver that has ended, or has enough buffers by now, leaves it to the next one. */
	while (!armed && (receiver = pop_paused(engine))) {
		receiver->paused = false;
		arm_receive(receiver->socket);
		armed = receiver->socket->in.armed;
	}
}

void sluice__buffer_put(struct sluice_engine *engine, struct sluice_buffer *buffer)
{
	struct sluice__receiver *receiver = buffer->receiver;

	sluice__assert_owner(engine);
	sluice__assert(engine->receive_pool.out > 0);
	buffer->receiver = NULL;
	sluice__buffer_drop(engine, buffer);
	/* Before the socket that released it, which would take it again. */
	resume_paused(engine);
	if (receiver) {
		engine->statistics.buffers_lent--;
		sluice__receiver_returned(receiver);
	}
}

void sluice__buffers_take_returned(struct sluice_engine *engine)
{
	struct sluice__link *link = sluice__stack_take_all(&engine->receive_pool.returned);

	sluice__assert_owner(engine);
	while (link) {
		struct sluice_buffer *buffer = sluice__element(link, struct sluice_buffer, link);

		link = link->next;
		sluice__buffer_put(engine, buffer);
	}
}

void sluice__receiver_resume_all(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	engine->receive_pool.kept = false;
	while (!sluice__fifo_is_empty(&engine->receive_pool.paused))
		resume_paused(engine);
}

/*
 * A receiver that was resumed may leave the buffer: its socket has nothing to receive, or is closed.
 * Then no buffer that comes back resumes the next one.
 */
void sluice__receiver_resume_waiting(struct sluice_engine *engine)
{
	uint32_t left = engine->receive_pool.most - engine->receive_pool.out;

	sluice__assert_owner(engine);
	while (left-- > 0 && sluice__receiver_can_resume(engine))
		resume_paused(engine);
}

static void remove_paused(struct sluice_engine *engine, struct sluice__receiver *receiver)
{
	bool listed = sluice__fifo_remove(&engine->receive_pool.paused, &receiver->paused_link);

	sluice__assert(listed == receiver->paused);
	receiver->paused = false;
	(void)listed;
}

static struct sluice_buffer *pop_received(struct sluice__receiver *receiver)
{
	return sluice__element(sluice__fifo_pop(&receiver->received), struct sluice_buffer, link);
}

void sluice__receiver_free(struct sluice_socket *socket)
{
	struct sluice__receiver *receiver = socket->receiver;
	struct sluice_buffer *buffer;

	if (!receiver)
		return;
	while ((buffer = pop_received(receiver))) {
		sluice__buffer_drop(socket->engine, buffer);
	}
	remove_paused(socket->engine, receiver);
	__atomic_store_n(&socket->receiver, NULL, __ATOMIC_RELEASE);
	receiver->socket = NULL;
	free_if_ended(receiver);
}

/* ---- handlers ---- */

static void deliver_buffer(struct sluice_socket *socket, struct sluice__receiver *receiver)
{
	struct sluice_buffer *buffer = pop_received(receiver);
	struct sluice_received received = {
		.size = sizeof received,
		.buffer = buffer,
		.data = buffer->data,
		.length = buffer->length,
	};

	buffer->receiver = receiver;
	receiver->waiting--;
	receiver->lent++;
	socket->engine->statistics.buffers_lent++;
	receiver->on_received(socket, &received, receiver->token);
}

static void deliver_end(struct sluice_socket *socket, struct sluice__receiver *receiver)
{
	struct sluice_received received = {
		.size = sizeof received,
		.error = receiver->error,
		.native_error = receiver->native,
		.terminal = 1,
	};
	sluice_received_fn *on_received = receiver->on_received;
	void *token = receiver->token;

	sluice__receiver_free(socket);
	on_received(socket, &received, token);
}

static bool is_ending(const struct sluice__receiver *receiver)
{
	return receiver->stopping || sluice__socket_is_closing(receiver->socket);
}

/*
 * After delivery: cancels the multishot if the socket uses half of its buffers, to continue with
 * one at a time. What exceeded the handler budget is delivered in the next turn.
 */
static void limit_receive(struct sluice_socket *socket)
{
	struct sluice__receiver *receiver = socket->receiver;

	if (socket->in.armed && receiver->many &&
	    buffers_used(receiver) >= (buffer_share(receiver) + 1) / 2)
		sluice__request_cancel(socket, &socket->in);
	if (has_received(receiver) ? !is_full(receiver) : receiver->ended)
		sluice__event(socket, SLUICE__EVENT_RECEIVED);
	arm_receive(socket);
}

void sluice__receiver_deliver(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(engine);
	sluice__assert(engine->delivering);
	while (socket->receiver && sluice__within_budget(&engine->budget, &engine->statistics)) {
		struct sluice__receiver *receiver = socket->receiver;

		/* An ending stream ignores the limit: what was received must not delay its end. */
		if (has_received(receiver) && (!is_full(receiver) || is_ending(receiver)))
			deliver_buffer(socket, receiver);
		else if (!has_received(receiver) && receiver->ended)
			deliver_end(socket, receiver);
		else
			break;
		engine->statistics.handlers++;
	}
	if (socket->receiver)
		limit_receive(socket);
}
