/* SPDX-License-Identifier: MIT */
/*
 * Datagrams and other messages: every record succeeds or fails on its own, and after a failure the
 * next one is tried. Adjacent records are sent together (core/gso.c): as one message that the
 * kernel segments, in one sendmmsg(2), or in one submission. If that fails they are sent one by
 * one, so that each has its own result.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sluice/args.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "core/gso.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/arena.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "engine/stats.h"
#include "send/send.h"

/* Most records of one socket per turn. */
#define RECORDS 256

/* A full UNIX receiver that is not the connected peer gives no event to wait for, so retry. */
#define RETRY_NS 1000000

/* Batches until refused sizes are joined again, because the route may have changed. */
#define REST 1024

/* ---- UDP GSO ---- */

/*
 * How many datagrams one send may make: asked with bytes to the socket itself, which are lost with it.
 * A kernel that takes fewer answers EINVAL; without a loopback device it is not known.
 */
static bool takes_segments(int fd, size_t count)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	socklen_t length = sizeof own;
	char bytes[SLUICE__GSO_RECORDS_MAX] = {0};
	int one = 1;

	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return bind(fd, (struct sockaddr *)&own, sizeof own) == 0 &&
	       getsockname(fd, (struct sockaddr *)&own, &length) == 0 &&
	       setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &one, sizeof one) == 0 &&
	       sendto(fd, bytes, count, MSG_DONTWAIT, (struct sockaddr *)&own, length) ==
		       (ssize_t)count;
}

static uint32_t try_gso(int fd)
{
	if (!sluice__socket_gso(fd))
		return 0;
	if (!takes_segments(fd, SLUICE__GSO_RECORDS_MAX))
		return SLUICE_CAPABILITY_UDP_GSO;
	return SLUICE_CAPABILITY_UDP_GSO | SLUICE_CAPABILITY_UDP_GSO_128;
}

#define TRIED (1u << 31)

void sluice__datagram_open(struct sluice_engine *engine)
{
	static uint32_t known; /* atomic: TRIED, and the capabilities that were found */
	uint32_t found = __atomic_load_n(&known, __ATOMIC_RELAXED);
	int fd = found ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd >= 0) {
		found = TRIED | try_gso(fd);
		close(fd);
		__atomic_store_n(&known, found, __ATOMIC_RELAXED);
	}
	/* Kernels before 4.18 ignore the control message and would send one large datagram. */
	engine->capabilities &=
		~(uint32_t)(SLUICE_CAPABILITY_UDP_GSO | SLUICE_CAPABILITY_UDP_GSO_128);
	engine->capabilities |= found & ~TRIED & ~engine->options.disable;
}

/* Lowers the size up to which datagrams are joined, for REST batches. */
static void gso_refused(struct sluice_socket *socket, uint32_t segment_bytes, int error_number)
{
	socket->engine->statistics.gso_refused++;
	if (error_number == EIO || error_number == EOPNOTSUPP)
		socket->gso_bytes = 0;
	else if (error_number == EINVAL || error_number == EMSGSIZE)
		socket->gso_bytes = (uint16_t)(segment_bytes - 1);
	socket->gso_rest = REST;
}

static uint32_t gso_bytes(struct sluice_socket *socket)
{
	if (!(socket->engine->capabilities & SLUICE_CAPABILITY_UDP_GSO))
		return 0;
	if (unlikely(socket->gso_rest) && --socket->gso_rest == 0)
		socket->gso_bytes = SLUICE__GSO_BYTES;
	return socket->gso_bytes;
}

/* ---- batches ---- */

static struct sluice__gso_batch *batch_take(struct sluice_engine *engine)
{
	struct sluice__link *link = sluice__pool_get(&engine->gso_batches);

	if (!link)
		return sluice__allocate(engine, sizeof(struct sluice__gso_batch));
	return sluice__element(link, struct sluice__gso_batch, link);
}

static void batch_put(struct sluice_engine *engine, struct sluice__gso_batch *batch)
{
	sluice__pool_put(&engine->gso_batches, &batch->link);
}

void sluice__gso_batches_free(struct sluice_engine *engine)
{
	struct sluice__link *link;

	while ((link = sluice__pool_get(&engine->gso_batches)))
		free(sluice__element(link, struct sluice__gso_batch, link));
}

static struct sluice__gso_batch *batch_of(struct sluice__messages *messages)
{
	return (struct sluice__gso_batch *)((char *)messages -
					    offsetof(struct sluice__gso_batch, given));
}

/* Space for at least one message's segments, until the next submission. */
static struct iovec *arena_space(struct sluice_engine *engine, uint32_t *ret_space)
{
	if (SLUICE__ARENA - engine->arena.used < SLUICE__SEGMENTS_MAX) {
		engine->backend->submit(engine);
		engine->arena.used = 0;
	}
	*ret_space = SLUICE__ARENA - engine->arena.used;
	return engine->arena.segments + engine->arena.used;
}

/* ---- results ---- */

static void finish_head(struct sluice_socket *socket, int error_number, uint64_t bytes)
{
	sluice__sendq_finish_head(&socket->queue, &socket->engine->done,
				  error_number ? sluice_socket_error_from_errno(error_number)
					       : SLUICE_ERROR_SUCCESS,
				  error_number, bytes);
}

static void fail_head(struct sluice_socket *socket, int error_number)
{
	socket->transmissions++;
	finish_head(socket, error_number, 0);
}

/* A short count, which no kernel returns: records without sent bytes stay queued. */
static void finish_short_message(struct sluice_socket *socket,
				 const struct sluice__message *message, uint64_t taken)
{
	uint32_t records = message->records;

	sluice__count_sent(socket, records, taken);
	sluice__count_transmission(socket->engine, records);
	do {
		uint64_t total = sluice__sendq_head(&socket->queue)->run.total;
		uint64_t bytes = taken < total ? taken : total;

		taken -= bytes;
		finish_head(socket, 0, bytes);
	} while (--records && taken);
}

static void message_sent(struct sluice_socket *socket, const struct sluice__message *message,
			 uint64_t taken)
{
	struct sluice_args *last = sluice__sendq_head(&socket->queue);

	if (message->segment_bytes)
		socket->engine->statistics.gso_sends++;
	if (unlikely(taken < message->bytes)) {
		finish_short_message(socket, message, taken);
		return;
	}
	for (uint32_t i = 1; i < message->records; i++)
		last = last->run.next;
	socket->flight =
		(struct sluice__flight){last, message->bytes, message->records, message->plain};
	sluice__settle_sent(socket, message->bytes);
}

static bool has_no_event(const struct sluice_socket *socket)
{
	return socket->family == AF_UNIX &&
	       (sluice__sendq_head(&socket->queue)->run.op_flags & SLUICE__OP_HAS_ADDRESS);
}

static void retry_later(struct sluice_socket *socket)
{
	sluice__block(socket);
	sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, RETRY_NS);
}

static void block_socket(struct sluice_socket *socket)
{
	if (has_no_event(socket))
		retry_later(socket);
	else
		sluice__transmit_blocked(socket);
}

void sluice__datagram_retry(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__unblock(socket);
	if (!sluice__sendq_is_empty(&socket->queue))
		sluice__ready(socket);
}

/* ---- one by one ---- */

/* Sends the head as one message. False: the socket is blocked. */
static bool send_single(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	struct msghdr header;
	uint32_t space;
	int64_t taken = -EMSGSIZE;

	if (sluice__gso_single(args, arena_space(engine, &space), &header)) {
		engine->statistics.inline_sends++;
		taken = engine->backend->try_send(engine, socket, &header, sluice__gso_flags(args));
	}
	if (taken == -EAGAIN) {
		block_socket(socket);
		return false;
	}
	if (likely(taken >= 0)) {
		const struct sluice__message message = {
			.records = 1,
			.bytes = args->run.total,
			.plain = !args->run.op_flags,
		};

		message_sent(socket, &message, (uint64_t)taken);
	} else if (taken != -EINTR) {
		fail_head(socket, (int)-taken);
	}
	return true;
}

/* Sends the records of a refused message one by one. */
static bool send_singles(struct sluice_socket *socket, uint32_t records)
{
	while (records--) {
		if (!send_single(socket))
			return false;
	}
	return true;
}

/*
 * Errors of the message as a whole rather than of one of its datagrams: too large for the route, a
 * device without checksum offload, no memory for so many, a packet filter, one bad address.
 */
static bool is_group_error(int error_number)
{
	switch (error_number) {
	case EINVAL:
	case EIO:
	case EMSGSIZE:
	case EOPNOTSUPP:
	case ENOMEM:
	case ENOBUFS:
	case EPERM:
	case EFAULT:
		return true;
	default:
		return false;
	}
}

/*
 * The message at the head was refused. The kernel reports the error of an earlier datagram to the
 * next call: the first record gets it, the others are tried again. False: the socket is blocked.
 */
static bool message_refused(struct sluice_socket *socket, const struct sluice__message *message,
			    int error_number)
{
	if (error_number == EINTR)
		return true;
	if (error_number == EAGAIN) {
		block_socket(socket);
		return false;
	}
	if (message->segment_bytes && is_group_error(error_number)) {
		gso_refused(socket, message->segment_bytes, error_number);
		return send_singles(socket, message->records);
	}
	fail_head(socket, error_number);
	return true;
}

/* ---- several at a time ---- */

/*
 * sendmmsg(2) hides an error behind its count. On a socket without a peer that is the message's own
 * error, which occurs again in the next try. A socket with a peer may get a port-unreachable in
 * between, which is reported only once, so it must not be batched.
 */
static bool may_batch(const struct sluice_socket *socket)
{
	return (sluice__socket_flags(socket) & SLUICE__SHARED_UNCONNECTED) &&
	       socket->type == SOCK_DGRAM;
}

static bool send_batch(struct sluice_socket *socket, struct sluice__gso_batch *batch)
{
	struct sluice_engine *engine = socket->engine;
	int taken = engine->backend->try_send_messages(engine, socket, batch->headers,
						       batch->given.count, batch->given.flags);

	engine->statistics.inline_bursts++;
	if (taken <= 0)
		return message_refused(socket, &batch->of[0], taken ? -taken : EINTR);
	for (int i = 0; i < taken; i++)
		message_sent(socket, &batch->of[i], batch->headers[i].msg_len);
	return true;
}

static bool send_each(struct sluice_socket *socket, struct sluice__gso_batch *batch)
{
	struct sluice_engine *engine = socket->engine;

	for (uint32_t i = 0; i < batch->given.count; i++) {
		int64_t taken = engine->backend->try_send(
			engine, socket, &batch->headers[i].msg_hdr, batch->given.flags);

		engine->statistics.inline_sends++;
		if (unlikely(taken < 0))
			return message_refused(socket, &batch->of[i], (int)-taken);
		message_sent(socket, &batch->of[i], (uint64_t)taken);
		if (unlikely((uint64_t)taken < batch->of[i].bytes))
			break;
	}
	return true;
}

/* Puts the batch in flight on the ring; false: the ring accepts nothing now. */
static bool submit_batch(struct sluice_socket *socket, struct sluice__gso_batch *batch)
{
	struct sluice__request *out = &socket->out;

	out->kind = SLUICE__REQUEST_MESSAGES;
	out->messages = &batch->given;
	if (sluice__request_start(socket, out) < 0)
		return false;
	socket->flight.last = batch->last;
	socket->engine->arena.used += batch->used;
	socket->engine->statistics.ring_bursts++;
	socket->engine->gso_batches_submitted++;
	sluice__flight_began(socket);
	return true;
}

/* Most batches in flight that AUTO submits: each takes some KiB. */
#define BATCHES_AUTO 64

static bool may_submit(const struct sluice_engine *engine, bool by_ring)
{
	return by_ring && (engine->options.transmit_way == SLUICE_TRANSMIT_WAY_RING ||
			   engine->gso_batches_submitted < BATCHES_AUTO);
}

/* Sends a planned batch; it returns to the pool unless it is in flight. */
static bool transmit_batch(struct sluice_socket *socket, struct sluice__gso_batch *batch,
			   bool by_ring)
{
	struct sluice_engine *engine = socket->engine;
	bool more;

	if (batch->head == SLUICE__GSO_TOO_MANY) {
		fail_head(socket, EMSGSIZE);
		more = true;
	} else if (by_ring && submit_batch(socket, batch)) {
		return false;
	} else if (batch->given.count > 1 && may_batch(socket)) {
		more = send_batch(socket, batch);
	} else {
		more = send_each(socket, batch);
	}
	batch_put(engine, batch);
	return more;
}

/* Sends up to so many records from the head. False: the socket is blocked. */
static bool transmit_records(struct sluice_socket *socket, uint32_t records, bool by_ring)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__gso_batch *batch;

	by_ring = may_submit(engine, by_ring);
	if (!sluice__sendq_head(&socket->queue)->run.next && !by_ring)
		return send_single(socket);
	batch = batch_take(engine);
	if (!batch)
		return send_single(socket);
	batch->segments = arena_space(engine, &batch->capacity);
	batch->messages = SLUICE__GSO_MESSAGES;
	batch->records = records;
	batch->gso_bytes = gso_bytes(socket);
	batch->gso_records = engine->capabilities & SLUICE_CAPABILITY_UDP_GSO_128
				     ? SLUICE__GSO_RECORDS_MAX
				     : SLUICE__GSO_RECORDS;
	sluice__gso_plan(sluice__sendq_head(&socket->queue), batch);
	return transmit_batch(socket, batch, by_ring);
}

/* Changes the remote of a datagram socket, which never blocks. Returns 0 or errno. */
static int change_remote(struct sluice_socket *socket, const struct sluice_args *args)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int error_number = 0;

	if (connect(socket->fd, sluice__record_address(args), sluice__record_address_length(args)) <
	    0)
		error_number = errno;
	if (error_number && getpeername(socket->fd, (struct sockaddr *)&peer, &length) < 0)
		sluice__socket_flags_set(socket, SLUICE__SHARED_UNCONNECTED);
	return error_number;
}

static void disconnect_or_connect(struct sluice_socket *socket, struct sluice_args *args)
{
	int error_number;

	if (args->last_operation == SLUICE_OPERATION_CONNECT)
		error_number = change_remote(socket, args);
	else
		error_number =
			-sluice__socket_disconnect(socket, args->run.op_flags & SLUICE__OP_REUSE);
	finish_head(socket, error_number, 0);
}

void sluice__datagram_transmit(struct sluice_socket *socket, bool by_ring)
{
	uint64_t before = socket->engine->done.added;
	uint64_t done = 0;

	sluice__assert_owner(socket->engine);
	sluice__assert(!(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)));
	/* Bounded by rounds as well: an interrupted round completes nothing. */
	for (int round = 0;
	     round < RECORDS && done < RECORDS && !sluice__sendq_is_empty(&socket->queue);
	     round++) {
		struct sluice_args *head = sluice__sendq_head(&socket->queue);

		if (head->run.op_flags & SLUICE__OP_DISCONNECT)
			disconnect_or_connect(socket, head);
		else if (!transmit_records(socket, (uint32_t)(RECORDS - done), by_ring))
			break;
		done = socket->engine->done.added - before;
	}
	if (done && (socket->state & (SLUICE__ST_ABOVE_HIGH | SLUICE__ST_GRACEFUL)))
		sluice__settle_shorter(socket);
	if (!sluice__sendq_is_empty(&socket->queue) &&
	    !(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)))
		sluice__ready(socket);
}

/* ---- completions ---- */

void sluice__datagram_settle(struct sluice_socket *socket, int32_t result)
{
	struct sluice__gso_batch *batch = batch_of(socket->out.messages);
	struct sluice__messages *given = &batch->given;
	int error_number = result < 0 ? -result : given->error;
	uint32_t taken = result > 0 ? (uint32_t)result : 0;

	sluice__assert_owner(socket->engine);
	sluice__flight_ended(socket);
	socket->engine->gso_batches_submitted--;
	for (uint32_t i = 0; i < taken; i++)
		message_sent(socket, &batch->of[i], given->headers[i].msg_len);
	/* A closing socket tries nothing more. */
	if (taken < given->count && error_number && error_number != ECANCELED &&
	    !sluice__socket_is_closing(socket))
		message_refused(socket, &batch->of[taken], error_number);
	batch_put(socket->engine, batch);
	sluice__settle_shorter(socket);
}
