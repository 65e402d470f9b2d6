/* SPDX-License-Identifier: MIT */
/*
 * Starts of sends: checks, then accepts. sluice_send_async has a fast path for a plain buffer on a
 * connected stream, because a server calls it millions of times a second.
 */
#include <errno.h>
#include <sluice/operations.h>

#include "core/packets.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/packets_pool.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "loop/loop.h"
#include "send/send.h"
#include "start/start.h"
#include "trace/trace.h"

/* How a send starts; allowed with any flag. */
#define HINTS (SLUICE_FLAG_EAGER | SLUICE_FLAG_BATCHED)

static uint32_t send_flags(const struct sluice_socket *socket)
{
	if (sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM)
		return HINTS | SLUICE_FLAG_DONT_ROUTE;
	if (sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED)
		return HINTS | SLUICE_FLAG_PARTIAL | SLUICE_FLAG_MORE;
	return HINTS | SLUICE_FLAG_OUT_OF_BAND | SLUICE_FLAG_PARTIAL | SLUICE_FLAG_DONT_ROUTE |
	       SLUICE_FLAG_MORE;
}

static uint64_t send_list_bytes(const struct sluice_args *args)
{
	const struct iovec *segments = args->run.base;
	uint64_t total = 0;

	for (uint64_t i = 0; i < args->run.count; i++)
		total += segments[i].iov_len;
	return total;
}

static uint64_t memory_bytes(const struct sluice_args *args)
{
	return args->run.op_flags & SLUICE__OP_LIST ? send_list_bytes(args) : args->run.total;
}

/* Translates the record's flags. EAGER and BATCHED concern the start alone and are left out. */
static uint32_t send_op_flags(const struct sluice_socket *socket, const struct sluice_args *args)
{
	uint32_t op_flags = 0;

	if (args->flags & SLUICE_FLAG_OUT_OF_BAND)
		op_flags |= SLUICE__OP_OUT_OF_BAND;
	if (args->flags & SLUICE_FLAG_PARTIAL)
		op_flags |= SLUICE__OP_PARTIAL;
	if ((args->flags & SLUICE_FLAG_MORE) && !sluice__kernel_filters(socket))
		op_flags |= SLUICE__OP_MORE;
	if (args->flags & SLUICE_FLAG_DONT_ROUTE)
		op_flags |= SLUICE__OP_DONT_ROUTE;
	return op_flags;
}

static int send_checked(struct sluice_socket *socket, struct sluice_args *args, uint32_t operation,
			uint32_t op_flags)
{
	uint64_t memory = memory_bytes(args);
	int error = sluice__check_limit(socket, memory);

	if (error)
		return error;
	if (args->run.op_flags & SLUICE__OP_LIST)
		args->run.total = memory;
	return sluice__start(socket, args, operation, op_flags | send_op_flags(socket, args),
			     memory);
}

static int send_unusual(struct sluice_socket *socket, struct sluice_args *args)
{
	int error;

	if (!socket || !args)
		return -EINVAL;
	error = sluice__check_alive(socket, args);
	if (error)
		return error;
	if (!args->run.base)
		return -EINVAL;
	error = sluice__check_flags(args->flags, send_flags(socket));
	if (error)
		return error;
	error = sluice__check_connected(socket);
	if (error)
		return error;
	return send_checked(socket, args, SLUICE_OPERATION_SEND, 0);
}

/* 0 if the fast path applies; combines all conditions of the record in few loads. */
static inline uint64_t record_is_unusual(const struct sluice_args *args)
{
	uint64_t flags, op_flags;

	__builtin_memcpy(&flags, &args->flags, sizeof flags);
	__builtin_memcpy(&op_flags, &args->run.op_flags, sizeof op_flags);
	return flags | op_flags | __atomic_load_n(&args->run.owner, __ATOMIC_RELAXED) |
	       (uint64_t)args->timeout_ns;
}

static inline uint64_t start_is_unusual(const struct sluice_socket *socket,
					const struct sluice_args *args)
{
	return record_is_unusual(args) |
	       (sluice__socket_flags(socket) & SLUICE__SHARED_SLOW_STREAM);
}

static bool is_below_limit(const struct sluice_socket *socket, uint64_t bytes)
{
	return __atomic_load_n(&socket->queue.bytes, __ATOMIC_RELAXED) + bytes <=
	       socket->check_above;
}

/* A plain buffer on a connected datagram socket, without any other condition. */
static bool is_plain_datagram(const struct sluice_socket *socket, const struct sluice_args *args)
{
	if (!socket || !args || record_is_unusual(args) || !args->run.base ||
	    (sluice__socket_flags(socket) & SLUICE__SHARED_SLOW_STREAM) != SLUICE__SHARED_DATAGRAM)
		return false;
	return sluice__is_owner(socket->engine) &&
	       !sluice__inbox_has_starts(&socket->engine->inbox) &&
	       is_below_limit(socket, args->run.total);
}

/* A list on a connected stream, without any other condition, that may be sent now. */
static bool is_plain_list(const struct sluice_socket *socket, const struct sluice_args *args)
{
	if (!socket || !args || args->run.op_flags != SLUICE__OP_LIST ||
	    (args->flags | args->reserved | sluice__record_disposed(args)) || args->timeout_ns ||
	    __atomic_load_n(&args->run.owner, __ATOMIC_RELAXED) ||
	    (sluice__socket_flags(socket) & SLUICE__SHARED_SLOW_STREAM))
		return false;
	return sluice__is_owner(socket->engine) &&
	       !sluice__inbox_has_starts(&socket->engine->inbox) && !socket->engine->busy;
}

static __attribute__((noinline)) int begin_and_listen(struct sluice_socket *socket,
						      struct sluice_args *args)
{
	int pending = sluice__send_begin(socket, args, true);

	if (pending)
		sluice__listen_if_idle(socket->engine);
	return pending;
}

/* A closing socket was refused before, so its phase is not tested here. */
static inline int begin_now(struct sluice_socket *socket, struct sluice_args *args)
{
	if (unlikely(socket->engine->embedded))
		return begin_and_listen(socket, args);
	return sluice__send_begin(socket, args, true);
}

static int send_plain_datagram(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__record_accept(args, socket, SLUICE_OPERATION_SEND);
	socket->engine->statistics.records_started++;
	if (!socket->engine->busy)
		return begin_now(socket, args);
	sluice__sendq_push(&socket->queue, args);
	sluice__sendq_count(&socket->queue, socket->queue.bytes + args->run.total);
	if (!(socket->state & (SLUICE__ST_READY | SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)))
		sluice__ready(socket);
	return 1;
}

/* Returns SLUICE__USE_QUEUE if a limit of the queue has to be checked. */
static int send_plain_list(struct sluice_socket *socket, struct sluice_args *args)
{
	uint64_t bytes = send_list_bytes(args);

	if (unlikely(!is_below_limit(socket, bytes)))
		return SLUICE__USE_QUEUE;
	args->run.total = bytes;
	sluice__record_accept(args, socket, SLUICE_OPERATION_SEND);
	socket->engine->statistics.records_started++;
	return begin_now(socket, args);
}

static __attribute__((noinline)) int send_slow(struct sluice_socket *socket,
					       struct sluice_args *args)
{
	if (is_plain_datagram(socket, args))
		return send_plain_datagram(socket, args);
	if (is_plain_list(socket, args)) {
		int answer = send_plain_list(socket, args);

		if (likely(answer != SLUICE__USE_QUEUE))
			return answer;
	}
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_SEND,
				    send_unusual(socket, args));
}

/* The first record of a turn on this socket: the first such socket prefills. */
static int pending_and_ready(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__ready(socket);
	if (!engine->prefilling && !sluice__sendq_head(&socket->queue)->run.next) {
		engine->prefilling = socket;
		sluice__sendq_begin_prefilled(&socket->queue, engine->arena.prefilled);
	}
	return 1;
}

static __attribute__((noinline)) int push_unlisted(struct sluice_socket *socket,
						   struct sluice_args *args)
{
	sluice__sendq_push_unlisted(&socket->queue, args);
	if (!(socket->state & (SLUICE__ST_READY | SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)))
		return pending_and_ready(socket);
	return 1;
}

int sluice_send_async(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_engine *engine;
	uint64_t bytes;

	if (unlikely(!socket || !args))
		return send_slow(socket, args);
	engine = socket->engine;
	bytes = __atomic_load_n(&socket->queue.bytes, __ATOMIC_RELAXED) + args->run.total;
	if (unlikely(start_is_unusual(socket, args) || !args->run.base ||
		     !sluice__is_owner(engine) || sluice__inbox_has_starts(&engine->inbox) ||
		     bytes > socket->check_above))
		return send_slow(socket, args);
	sluice__record_accept(args, socket, SLUICE_OPERATION_SEND);
	engine->statistics.records_started++;
	if (!engine->busy)
		return begin_now(socket, args);
	sluice__sendq_count(&socket->queue, bytes);
	if (likely(sluice__sendq_is_listed(&socket->queue)))
		return sluice__sendq_push_listed(&socket->queue, args); /* the socket is ready */
	return push_unlisted(socket, args);
}

static int check_remote(const struct sluice_args *args)
{
	if (!args->remote_address || args->remote_address_length < sizeof(sa_family_t))
		return -EINVAL;
	return 0;
}

static int send_to(struct sluice_socket *socket, struct sluice_args *args)
{
	uint32_t op_flags = 0;
	int error;

	if (!socket || !args)
		return -EINVAL;
	error = sluice__check_alive(socket, args);
	if (error)
		return error;
	if (!args->run.base || check_remote(args))
		return -EINVAL;
	error = sluice__check_flags(args->flags, send_flags(socket));
	if (error)
		return error;
	if (sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM)
		op_flags = SLUICE__OP_HAS_ADDRESS;
	else
		error = sluice__check_connected(socket);
	if (error)
		return error;
	return send_checked(socket, args, SLUICE_OPERATION_SEND_TO, op_flags);
}

int sluice_send_to_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_SEND_TO, send_to(socket, args));
}

/* ---- packets ---- */

static uint32_t packets_op_flags(const struct sluice_args *args)
{
	uint32_t op_flags = SLUICE__OP_PACKETS;

	if (args->transmit_flags & (SLUICE_TRANSMIT_DISCONNECT | SLUICE_TRANSMIT_REUSE_SOCKET))
		op_flags |= SLUICE__OP_THEN_DISCONNECT;
	if (args->transmit_flags & SLUICE_TRANSMIT_REUSE_SOCKET)
		op_flags |= SLUICE__OP_REUSE;
	return op_flags;
}

static int check_packets(struct sluice_socket *socket, struct sluice_args *args)
{
	uint32_t shared = sluice__socket_flags(socket);
	int error;

	if (!args->rare.packets)
		return -EINVAL;
	error = sluice__check_flags(args->flags, HINTS | SLUICE_FLAG_MORE);
	if (error)
		return error;
	if (shared & (SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_LISTENING))
		return -EOPNOTSUPP;
	/* During a handshake the socket is connected already. */
	if (shared & SLUICE__SHARED_CONNECTING)
		return shared & SLUICE__SHARED_FILTERED ? 0 : -EOPNOTSUPP;
	if (shared & (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED))
		return 0;
	return sluice__has_peer(socket) ? 0 : -EOPNOTSUPP;
}

/* One file without flags or deadline, on a socket whose queue is empty. */
static bool is_single_file(const struct sluice_socket *socket, const struct sluice_args *args)
{
	const struct sluice_engine *engine = socket->engine;

	return !start_is_unusual(socket, args) && args->rare.packet_count == 1 &&
	       args->rare.packets->kind == SLUICE_PACKET_FILE && !args->transmit_flags &&
	       sluice__is_owner(engine) && !sluice__inbox_has_starts(&engine->inbox) &&
	       !engine->busy && sluice__sendq_is_empty(&socket->queue) &&
	       !(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED | SLUICE__PHASE_MASK));
}

/* A filter needs the bytes of a file in memory. */
static bool filter_reads_files(const struct sluice_socket *socket)
{
	return sluice__socket_flags(socket) & SLUICE__SHARED_FILTERED_SENDS;
}

static int send_packets(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice__packets *packets;
	int error;

	if (!socket || !args)
		return -EINVAL;
	if (likely(is_single_file(socket, args))) {
		error = sluice__send_single_file(socket, args);
		if (error != SLUICE__USE_QUEUE)
			return error;
	}
	error = sluice__check_alive(socket, args);
	if (!error)
		error = check_packets(socket, args);
	if (!error)
		error = sluice__packets_open(socket->engine, args, filter_reads_files(socket),
					     &packets);
	if (error < 0)
		return error;
	error = sluice__check_limit(socket, packets->memory);
	if (error) {
		sluice__packets_close(socket->engine, packets);
		return error;
	}
	args->rare.side = packets;
	error = sluice__start(socket, args, SLUICE_OPERATION_SEND_PACKETS,
			      packets_op_flags(args) | send_op_flags(socket, args),
			      packets->memory);
	if (error < 0)
		sluice__packets_close(socket->engine, packets);
	return error;
}

int sluice_send_packets_async(struct sluice_socket *socket, struct sluice_args *args)
{
	return sluice__trace_answer(socket, args, SLUICE_OPERATION_SEND_PACKETS,
				    send_packets(socket, args));
}
