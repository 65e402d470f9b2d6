/* SPDX-License-Identifier: MIT */
/*
 * Begins a send on the engine's thread: tries it synchronously if the call may return the result,
 * or queues it.
 */
#include <errno.h>
#include <limits.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "core/record.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "engine/arena.h"
#include "engine/deadline.h"
#include "engine/marks.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "send/send.h"

void sluice__offer_queue(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__reclaim(socket);
	if (socket->state & SLUICE__ST_FULL)
		return;
	sluice__transmit_now(socket);
	socket->engine->files->slices = 0;
	if (socket->engine->files->sigpipe_masked)
		sluice__sigpipe_unmask(socket->engine);
}

/* The queue is above its high mark: congested only if the kernel does not take it now. */
static __attribute__((noinline)) void rise_above_high(struct sluice_socket *socket)
{
	if (!sluice__marks_rise(socket))
		return;
	sluice__offer_queue(socket);
	sluice__marks_congested(socket);
}

void sluice__send_push(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(!(sluice__socket_flags(socket) & SLUICE__SHARED_LENT));
	sluice__sendq_push(&socket->queue, args);
	sluice__sendq_count(&socket->queue, socket->queue.bytes + sluice__sendq_memory(args));
	if (args->run.op_flags & SLUICE__OP_DEADLINE)
		sluice__deadline_arm(socket, args);
	if (!(socket->state & (SLUICE__ST_READY | SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)))
		sluice__ready(socket);
	if (unlikely(socket->queue.bytes > socket->high_bytes))
		rise_above_high(socket);
}

/* A buffer or list of which the kernel took less than all, or what it refused. */
static int tried_stream(struct sluice_socket *socket, struct sluice_args *args, int64_t taken,
			bool may_finish)
{
	if (taken < 0 && taken != -EAGAIN) {
		int error_number = sluice__settle_errno(socket, (int)-taken);

		return sluice__end_at_once(socket->engine, args, may_finish,
					   sluice_socket_error_from_errno(error_number),
					   error_number, 0);
	}
	if (taken > 0) {
		args->run.sent = (uint64_t)taken;
		socket->bytes_sent += (uint64_t)taken;
	}
	sluice__send_push(socket, args);
	return 1;
}

/*
 * The socket is not marked as full: the edge that tells of space may have come before this thread
 * waits for it, so it has to find the socket full itself.
 */
void sluice__send_begin_tried(struct sluice_socket *socket, struct sluice_args *args, int64_t taken)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(engine);
	sluice__assert(sluice__sendq_is_empty(&socket->queue));
	engine->statistics.records_started++;
	engine->statistics.inline_sends++;
	tried_stream(socket, args, taken, false);
}

/* A datagram is taken whole or not at all. */
static int tried_datagram(struct sluice_socket *socket, struct sluice_args *args, int64_t taken)
{
	int error_number = taken < 0 ? (int)-taken : 0;

	if (taken == -EAGAIN || taken == -EINTR) {
		sluice__send_push(socket, args);
		return 1;
	}
	socket->transmissions++;
	return sluice__end_at_once(socket->engine, args, true,
				   sluice_socket_error_from_errno(error_number), error_number,
				   taken < 0 ? 0 : (uint64_t)taken);
}

static __attribute__((noinline)) int tried_direct(struct sluice_socket *socket,
						  struct sluice_args *args, int64_t taken)
{
	if (sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM)
		return tried_datagram(socket, args, taken);
	if (taken >= 0 || taken == -EAGAIN)
		sluice__buffer_full(socket);
	if (taken > 0 && (args->run.op_flags & SLUICE__OP_LIST))
		sluice__sendq_advance_list(args, (uint64_t)taken);
	return tried_stream(socket, args, taken, true);
}

/*
 * Sends a record past its queue, which is empty, in one call. Through the queue a plain buffer costs
 * 95 % more instructions, a datagram 167 %, and a list of header and body 188 %.
 */
static inline int try_direct(struct sluice_socket *socket, struct sluice_args *args,
			     const struct msghdr *message)
{
	struct sluice_engine *engine = socket->engine;
	int64_t taken = engine->backend->try_send(engine, socket, message, 0);

	engine->statistics.inline_sends++;
	/* More, if the sum of a list's lengths overflowed. */
	if (likely(taken >= (int64_t)args->run.total))
		return sluice__sent_in_start(socket, args);
	return tried_direct(socket, args, taken);
}

/* A plain buffer on a stream, or in a datagram. */
static int try_buffer(struct sluice_socket *socket, struct sluice_args *args)
{
	struct iovec segment = {(void *)(uintptr_t)args->run.base, args->run.total};
	const struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};

	return try_direct(socket, args, &message);
}

static int try_addressed(struct sluice_socket *socket, struct sluice_args *args)
{
	struct iovec segment = {(void *)(uintptr_t)args->run.base, args->run.total};
	const struct msghdr message = {
		.msg_name = sluice__record_address(args),
		.msg_namelen = sluice__record_address_length(args),
		.msg_iov = &segment,
		.msg_iovlen = 1,
	};

	return try_direct(socket, args, &message);
}

/* The caller's segments are sent as they are. */
static int try_list(struct sluice_socket *socket, struct sluice_args *args)
{
	const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)args->run.base,
				       .msg_iovlen = args->run.count};

	return try_direct(socket, args, &message);
}

/* A record that is tried through its queue. If it ends there, it is taken back: no handler runs. */
struct queued_try {
	struct sluice__chain *done; /* the list that the record would end in */
	struct sluice_args **end;   /* of the list, before the record is added */
};

static struct queued_try begin_queued_try(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice__chain *done = sluice__done(socket);
	struct queued_try queued = {done, done->end};

	sluice__send_push(socket, args);
	return queued;
}

static int end_queued_try(struct sluice_engine *engine, struct sluice_args *args,
			  const struct queued_try *queued)
{
	engine->files->slices = 0; /* with EAGER in a handler */
	if (engine->files->sigpipe_masked)
		sluice__sigpipe_unmask(engine);
	if (!sluice__chain_take_back(queued->done, queued->end, args))
		return 1;
	return sluice__finished(engine, args);
}

/* Tries any other record, through the queue. */
static int try_queued(struct sluice_socket *socket, struct sluice_args *args)
{
	struct queued_try queued = begin_queued_try(socket, args);

	sluice__transmit_now(socket);
	if (socket->engine->hands_over)
		socket->engine->backend->submit(socket->engine);
	return end_queued_try(socket->engine, args, &queued);
}

/* Zero copy is considered for this size, or a submission thread sends. */
static bool prefers_queue(struct sluice_socket *socket, uint64_t bytes)
{
	return socket->engine->hands_over || sluice__zc_send_considers(socket, bytes);
}

int sluice__send_begin_tried_file(struct sluice_socket *socket, struct sluice_args *args,
				  uint64_t count, int64_t taken)
{
	struct queued_try queued;

	sluice__assert_owner(socket->engine);
	sluice__assert(sluice__sendq_is_empty(&socket->queue));
	queued = begin_queued_try(socket, args);
	sluice__file_tried(socket, count, taken);
	return end_queued_try(socket->engine, args, &queued);
}

static bool is_plain_datagram(const struct sluice_engine *engine, uint32_t shared,
			      const struct sluice_args *args)
{
	return (shared & SLUICE__SHARED_DATAGRAM) && !args->run.op_flags && !engine->hands_over;
}

static bool is_addressed_datagram(const struct sluice_engine *engine,
				  const struct sluice_args *args)
{
	return args->run.op_flags == SLUICE__OP_HAS_ADDRESS && !engine->hands_over;
}

/* One call takes such a list; the lengths of a longer one may add up to anything. */
static bool is_single_list(struct sluice_socket *socket, uint32_t shared,
			   const struct sluice_args *args)
{
	return args->run.op_flags == SLUICE__OP_LIST && args->run.count <= SLUICE__SEGMENTS_MAX &&
	       args->run.total - 1 < INT_MAX &&
	       !(shared & (SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_FILTERED_SENDS)) &&
	       !(socket->state & SLUICE__ST_CORKED) &&
	       (args->run.total < socket->engine->queue_from ||
		!prefers_queue(socket, args->run.total));
}

static __attribute__((noinline)) int try_unusual(struct sluice_socket *socket,
						 struct sluice_args *args, uint32_t shared)
{
	if (is_addressed_datagram(socket->engine, args))
		return try_addressed(socket, args);
	if (is_single_list(socket, shared, args))
		return try_list(socket, args);
	return try_queued(socket, args);
}

static bool may_try_now(const struct sluice_socket *socket)
{
	return sluice__sendq_is_empty(&socket->queue) &&
	       !(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)) &&
	       !(sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING);
}

#define GO_ON (-1)

/* Lent to other threads, or the sending side has ended: then the record ends at once. */
static __attribute__((noinline)) int begin_unusual(struct sluice_socket *socket,
						   struct sluice_args *args, bool may_finish)
{
	/* Disconnecting twice is not an error. */
	bool again = args->run.op_flags & SLUICE__OP_DISCONNECT;

	sluice__reclaim(socket);
	if (!(sluice__socket_flags(socket) &
	      (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED)) ||
	    !sluice__sendq_is_empty(&socket->queue))
		return GO_ON;
	return sluice__end_at_once(socket->engine, args, may_finish,
				   again ? SLUICE_ERROR_SUCCESS : SLUICE_ERROR_SHUTDOWN,
				   again ? 0 : EPIPE, 0);
}

int sluice__send_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish)
{
	uint32_t shared = sluice__socket_flags(socket);

	sluice__assert_owner(socket->engine);
	sluice__assert(!sluice__socket_is_closing(socket));
	if (unlikely(shared & (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED |
			       SLUICE__SHARED_LENT))) {
		int answer = begin_unusual(socket, args, may_finish);

		if (answer != GO_ON)
			return answer;
	}
	if (!may_finish || !may_try_now(socket)) {
		sluice__send_push(socket, args);
		return 1;
	}
	if (args->run.op_flags | (socket->state & SLUICE__ST_CORKED) |
	    (shared & (SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_FILTERED_SENDS)))
		return is_plain_datagram(socket->engine, shared, args)
			       ? try_buffer(socket, args)
			       : try_unusual(socket, args, shared);
	if (unlikely(args->run.total >= socket->engine->queue_from) &&
	    prefers_queue(socket, args->run.total))
		return try_queued(socket, args);
	return try_buffer(socket, args);
}
