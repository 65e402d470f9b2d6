/* SPDX-License-Identifier: MIT */
/*
 * Accepts a record whose start was checked. On the engine's thread its operation begins now. From
 * another thread the record is pushed to the mailbox, or sent by that thread if the socket was lent.
 */
#include <errno.h>

#include "core/record.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "send/send.h"
#include "socket/socket.h"
#include "start/start.h"
#include "trace/trace.h"

static bool may_try(const struct sluice_engine *engine, const struct sluice_args *args)
{
	if (args->flags & SLUICE_FLAG_BATCHED)
		return false;
	return (args->flags & SLUICE_FLAG_EAGER) || !engine->busy;
}

/* Copies members that the application may change while the operation is in progress. */
static void record_keep_arguments(struct sluice_args *args, uint32_t operation, uint32_t op_flags)
{
	if ((op_flags & SLUICE__OP_HAS_ADDRESS) || operation == SLUICE_OPERATION_CONNECT)
		sluice__record_keep_address(args, args->remote_address,
					    args->remote_address_length);
	else if (operation == SLUICE_OPERATION_RECEIVE_FROM)
		sluice__record_keep_address(args, args->from_address, args->from_capacity);
	if (op_flags & SLUICE__OP_DEADLINE)
		sluice__record_keep_timeout(args, args->timeout_ns);
}

static bool is_receive(uint32_t operation)
{
	return operation == SLUICE_OPERATION_ACCEPT || operation == SLUICE_OPERATION_RECEIVE ||
	       operation == SLUICE_OPERATION_RECEIVE_FROM;
}

/*
 * Sets, in the calling thread, the state by which later starts are accepted or refused: this thread
 * may start more before the engine has taken the record from the mailbox.
 */
static void cross_thread_announce(struct sluice_socket *socket, uint32_t operation)
{
	if (is_receive(operation))
		__atomic_fetch_add(&socket->receives_cross_thread, 1, __ATOMIC_RELEASE);
	else
		sluice__cross_thread_announce(socket);
	if (operation == SLUICE_OPERATION_CONNECT)
		sluice__connect_announce(socket);
}

static void cross_thread_withdraw(struct sluice_socket *socket, uint32_t operation)
{
	if (operation == SLUICE_OPERATION_CONNECT)
		sluice__connect_withdraw(socket);
	if (is_receive(operation))
		__atomic_fetch_sub(&socket->receives_cross_thread, 1, __ATOMIC_RELEASE);
	else
		sluice__cross_thread_begun(socket);
}

/* A plain buffer, smaller than what is considered for zero copy. */
static bool may_send_here(const struct sluice_engine *engine, const struct sluice_args *args,
			  uint32_t operation, uint32_t op_flags)
{
	return operation == SLUICE_OPERATION_SEND && !op_flags && !args->run.op_flags &&
	       !(args->flags & SLUICE_FLAG_BATCHED) &&
	       args->run.total < __atomic_load_n(&engine->queue_from, __ATOMIC_RELAXED);
}

/* Sends in the calling thread if the socket can be borrowed; otherwise pushes to the mailbox. */
static int start_cross_thread(struct sluice_socket *socket, struct sluice_args *args,
			      uint32_t operation, uint32_t op_flags, uint64_t memory)
{
	bool here = may_send_here(socket->engine, args, operation, op_flags);
	int32_t error = args->error, native_error = args->native_error;
	uint64_t bytes = args->bytes_transferred;
	uint32_t last_operation = args->last_operation;
	int watched = sluice__thread_watch_start(socket->engine, args);

	if (watched < 0)
		return watched;
	op_flags |= (uint32_t)watched;
	if (here && sluice__borrow(socket)) {
		sluice__record_accept(args, socket, operation);
		return sluice__send_borrowed(socket, args, op_flags);
	}
	__atomic_fetch_add(&socket->cross_thread_bytes, memory, __ATOMIC_RELAXED);
	cross_thread_announce(socket, operation);
	record_keep_arguments(args, operation, op_flags);
	args->run.op_flags |= op_flags;
	sluice__record_accept(args, socket, operation);
	if (sluice__mailbox_push(socket->engine, args))
		return 1;
	/* The engine ended meanwhile: refuse, and restore the record. */
	cross_thread_withdraw(socket, operation);
	args->error = error;
	args->native_error = native_error;
	args->bytes_transferred = bytes;
	args->last_operation = last_operation;
	args->run.op_flags &= SLUICE__OP_LIST;
	args->rare.thread = 0;
	if (operation != SLUICE_OPERATION_SEND_PACKETS)
		sluice__record_keep_address(args, NULL, 0);
	sluice__record_release(args);
	return -EBADF;
}

/* A record that completes inside the call has its result in its members. */
static int begin_traced(struct sluice_socket *socket, struct sluice_args *args, bool may_finish)
{
	int pending = sluice__operation_begin(socket, args, may_finish);

	if (pending == 0)
		sluice__trace_end(socket, args);
	sluice__trace_turn(socket->engine);
	return pending;
}

int sluice__start(struct sluice_socket *socket, struct sluice_args *args, uint32_t operation,
		  uint32_t op_flags, uint64_t memory)
{
	struct sluice_engine *engine = socket->engine;
	int owner = sluice__engine_enter(engine);
	bool took = false;
	int pending;

	if (owner < 0)
		return owner;
	if (args->timeout_ns)
		op_flags |= SLUICE__OP_DEADLINE;
	if (unlikely(engine->trace))
		sluice__trace_call(socket, args, operation, op_flags);
	if (!owner)
		return start_cross_thread(socket, args, operation, op_flags, memory);
	record_keep_arguments(args, operation, op_flags);
	args->run.op_flags |= op_flags;
	sluice__record_accept(args, socket, operation);
	if (operation == SLUICE_OPERATION_CONNECT)
		sluice__connect_announce(socket);
	if (sluice__inbox_has_starts(&engine->inbox)) {
		sluice__mailbox_take(engine);
		sluice__intents_take(engine);
		took = true;
	}
	if (unlikely(engine->trace))
		pending = begin_traced(socket, args, may_try(engine, args));
	else
		pending = sluice__operation_begin(socket, args, may_try(engine, args));
	if (pending || took)
		sluice__listen_if_idle(engine);
	return pending;
}
