/* SPDX-License-Identifier: MIT */
/* Sends what is queued on every ready socket, inline or by the ring. */
#include <errno.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "core/plan.h"
#include "core/record.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"
#include "engine/arena.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "send/send.h"

/* Transmissions of one socket in a turn before the next socket is served. */
#define ROUNDS 8

static void record_flight(struct sluice_socket *socket, const struct sluice__gather *gather)
{
	socket->flight.last = gather->last;
	socket->flight.bytes = gather->bytes;
	socket->flight.records = gather->records;
	socket->flight.plain = gather->plain;
}

/* The next free segments of the arena, valid until the next submission. */
static struct iovec *arena_segments(struct sluice_engine *engine)
{
	if (unlikely(SLUICE__ARENA - engine->arena.used < SLUICE__SEGMENTS_MAX / 4)) {
		engine->backend->submit(engine);
		engine->arena.used = 0;
	}
	return engine->arena.segments + engine->arena.used;
}

static void gather_records(struct sluice_socket *socket, struct sluice__gather *gather)
{
	struct sluice_engine *engine = socket->engine;

	gather->segments = arena_segments(engine);
	gather->capacity = SLUICE__ARENA - engine->arena.used;
	if (gather->capacity > SLUICE__SEGMENTS_MAX)
		gather->capacity = SLUICE__SEGMENTS_MAX;
	gather->budget = engine->options.gather_bytes;
	gather->copies = NULL;
	sluice__sendq_gather(&socket->queue, gather);
	record_flight(socket, gather);
}

static void submit_memory(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__request *out = &socket->out;

	sluice__assert(!(socket->state & SLUICE__ST_IN_FLIGHT));
	if (!engine->backend->sends) {
		sluice__transmit_blocked(socket);
		return;
	}
	out->kind = SLUICE__REQUEST_SEND;
	out->segments = gathered->segments;
	out->segment_count = gathered->count;
	out->flags = gathered->flags;
	if (sluice__request_start(socket, out) < 0) {
		sluice__ready(socket);
		return;
	}
	engine->arena.used += gathered->count;
	engine->statistics.ring_sends++;
	sluice__flight_began(socket);
}

/* Applies the result of an inline attempt to the records in flight. */
static void apply_inline_result(struct sluice_socket *socket, int64_t taken)
{
	socket->engine->statistics.inline_sends++;
	if (taken == -EAGAIN) {
		sluice__buffer_full(socket);
	} else if (taken < 0) {
		sluice__settle_failed(socket, (int)-taken);
	} else {
		if ((uint64_t)taken < socket->flight.bytes)
			sluice__buffer_full(socket);
		sluice__settle_sent(socket, (uint64_t)taken);
	}
}

static int64_t try_memory(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	struct sluice_engine *engine = socket->engine;
	struct msghdr message = {.msg_iov = gathered->segments, .msg_iovlen = gathered->count};

	return engine->backend->try_send(engine, socket, &message, gathered->flags);
}

static void send_memory(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	apply_inline_result(socket, try_memory(socket, gathered));
}

static int plan_transmission(const struct sluice_socket *socket, bool by_ring, bool zerocopy)
{
	const struct sluice__plan_memory facts = {
		.by_ring = by_ring,
		.full = socket->state & SLUICE__ST_FULL,
		.zerocopy = zerocopy,
	};

	return sluice__plan_memory(&facts);
}

static bool zerocopy_fits(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	return unlikely(gathered->bytes >= socket->engine->zerocopy_from) &&
	       sluice__zc_send_fits(socket, gathered);
}

/* Returns true if another transmission may follow in this turn. */
static bool transmit_memory(struct sluice_socket *socket, const struct sluice__gather *gathered,
			    bool by_ring)
{
	int way = plan_transmission(socket, by_ring, zerocopy_fits(socket, gathered));

	if (way == SLUICE__PLAN_ZEROCOPY) {
		if (sluice__zc_send_start(socket, gathered))
			return false;
		way = plan_transmission(socket, by_ring, false);
	}
	if (way == SLUICE__PLAN_INLINE) {
		send_memory(socket, gathered);
		return true;
	}
	submit_memory(socket, gathered);
	return false;
}

/* More than one transmission takes, or enough for zero copy. */
static bool is_large(struct sluice_socket *socket, uint64_t bytes)
{
	struct sluice_engine *engine = socket->engine;

	return bytes > engine->options.gather_bytes ||
	       (bytes >= engine->zerocopy_from && sluice__zc_send_considers(socket, bytes));
}

/*
 * One plain record is the usual queue of a server's socket. It needs no gathering, which would cost
 * 71 % more instructions inline and 17 % more by the ring.
 */
static bool is_single(struct sluice_socket *socket)
{
	const struct sluice_args *args = sluice__sendq_head(&socket->queue);

	return !args->run.next && !args->run.op_flags && !args->run.sent &&
	       sluice__settles_plain(socket) &&
	       (likely(args->run.total < socket->engine->single_below) ||
		!is_large(socket, args->run.total));
}

static void submit_single(struct sluice_socket *socket)
{
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	struct sluice__gather gathered = {.segments = arena_segments(socket->engine), .count = 1};

	gathered.segments->iov_base = (void *)(uintptr_t)args->run.base;
	gathered.segments->iov_len = args->run.total;
	socket->flight = (struct sluice__flight){args, args->run.total, 1, true};
	submit_memory(socket, &gathered);
}

static void transmit_single(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	struct iovec segment = {(void *)(uintptr_t)args->run.base, args->run.total};
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
	int64_t taken = engine->backend->try_send(engine, socket, &message, 0);

	sluice__assert(!(socket->state & (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED)));
	if (unlikely(taken != (int64_t)args->run.total)) {
		socket->flight = (struct sluice__flight){args, args->run.total, 1, true};
		apply_inline_result(socket, taken);
		return;
	}
	engine->statistics.inline_sends++;
	sluice__sent_alone(socket, args);
}

/* A disconnect has reached the head of the queue. */
static void transmit_disconnect(struct sluice_socket *socket)
{
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	int error = sluice__socket_disconnect(socket, args->run.op_flags & SLUICE__OP_REUSE);

	sluice__sendq_finish_head(&socket->queue, sluice__done(socket),
				  sluice_socket_error_from_errno(error), -error, 0);
	sluice__settle_abort(socket, SLUICE_ERROR_SHUTDOWN, EPIPE, SLUICE_ERROR_SHUTDOWN, EPIPE);
}

/* The range exceeds the file: this record fails, and the next one is sent. */
static void transmit_beyond(struct sluice_socket *socket)
{
	sluice__sendq_finish_head(&socket->queue, sluice__done(socket),
				  SLUICE_ERROR_INVALID_ARGUMENT, EINVAL, 0);
	sluice__settle_shorter(socket);
}

static bool can_transmit(const struct sluice_socket *socket)
{
	return !sluice__sendq_is_empty(&socket->queue) &&
	       !(socket->state &
		 (SLUICE__ST_IN_FLIGHT | SLUICE__ST_BLOCKED | SLUICE__PHASE_MASK)) &&
	       !(sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING);
}

/* Copies are in the engine's memory, which the kernel may read during a call only. */
static bool may_be_copied(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	const struct sluice_engine *engine = socket->engine;

	return likely(gathered->bytes < engine->zerocopy_from) ||
	       !sluice__zerocopy_may_fit(engine->options.transmit_way ==
						 SLUICE_TRANSMIT_WAY_ZEROCOPY,
					 gathered->bytes, gathered->records);
}

/* Sends prefilled segments inline. */
static bool transmit_prefilled(struct sluice_socket *socket)
{
	struct sluice__gather gathered;
	int64_t taken;

	gathered.budget = socket->engine->options.gather_bytes;
	if (!sluice__sendq_take_prefilled(&socket->queue, &gathered) ||
	    !may_be_copied(socket, &gathered))
		return false;
	taken = try_memory(socket, &gathered);
	if (likely(taken == (int64_t)gathered.bytes && sluice__settles_plain(socket))) {
		socket->engine->statistics.inline_sends++;
		sluice__sent_plain(socket, &gathered);
		return true;
	}
	record_flight(socket, &gathered);
	apply_inline_result(socket, taken);
	return true;
}

/* Gathers for an inline send. Returns false if it has to be gathered without copies. */
static bool gather_records_copying(struct sluice_socket *socket, struct sluice__gather *gathered)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__prefilled *prefilled = engine->arena.prefilled;

	if (engine->prefilling && sluice__sendq_is_prefilled(&engine->prefilling->queue))
		return false; /* the memory is in use */
	gathered->segments = prefilled->segments;
	gathered->capacity = SLUICE__PREFILLED;
	gathered->budget = engine->options.gather_bytes;
	gathered->copies = prefilled->copies;
	gathered->copies_end = prefilled->copies + sizeof prefilled->copies;
	sluice__sendq_gather(&socket->queue, gathered);
	record_flight(socket, gathered);
	return gathered->what != SLUICE__GATHERED_MEMORY || may_be_copied(socket, gathered);
}

static bool transmit_gathered(struct sluice_socket *socket, bool by_ring)
{
	bool is_inline = plan_transmission(socket, by_ring, false) == SLUICE__PLAN_INLINE;
	struct sluice__gather gathered;

	if (sluice__sendq_is_prefilled(&socket->queue) && is_inline && transmit_prefilled(socket))
		return true;
	sluice__sendq_drop_prefilled(&socket->queue);
	is_inline = is_inline && gather_records_copying(socket, &gathered);
	if (!is_inline)
		gather_records(socket, &gathered);
	switch (gathered.what) {
	case SLUICE__GATHERED_MEMORY:
		if (!is_inline)
			return transmit_memory(socket, &gathered, by_ring);
		send_memory(socket, &gathered);
		return true;
	case SLUICE__GATHERED_FILE:
		return sluice__file_transmit(socket);
	case SLUICE__GATHERED_BEYOND:
		transmit_beyond(socket);
		return true;
	case SLUICE__GATHERED_DISCONNECT:
		if (sluice__is_filtered(socket) && !sluice__filter_end(socket))
			return false;
		transmit_disconnect(socket);
		return true;
	default:
		return false;
	}
}

/* Returns true if another transmission may follow in this turn. */
static bool transmit_round(struct sluice_socket *socket, bool by_ring)
{
	if (!is_single(socket))
		return transmit_gathered(socket, by_ring);
	if (plan_transmission(socket, by_ring, false) != SLUICE__PLAN_INLINE) {
		submit_single(socket);
		return false;
	}
	transmit_single(socket);
	return true;
}

/* Returns true if another transmission may follow in this turn. */
static bool transmit_filtered_round(struct sluice_socket *socket)
{
	struct sluice__gather gathered;

	if (!sluice__filter_flush(socket) || !can_transmit(socket))
		return false;
	gather_records(socket, &gathered);
	switch (gathered.what) {
	case SLUICE__GATHERED_MEMORY:
		return sluice__filter_send(socket, &gathered);
	case SLUICE__GATHERED_FILE:
		return sluice__file_transmit(socket);
	case SLUICE__GATHERED_BEYOND:
		transmit_beyond(socket);
		return true;
	case SLUICE__GATHERED_DISCONNECT:
		if (!sluice__filter_end(socket))
			return false;
		transmit_disconnect(socket);
		return true;
	default:
		return false;
	}
}

static void transmit_filtered(struct sluice_socket *socket)
{
	/* The record whose output is left may have been cancelled. */
	if (sluice__sendq_is_empty(&socket->queue))
		sluice__filter_flush_idle(socket);
	for (int round = 0; round < ROUNDS; round++) {
		if (!can_transmit(socket) || !transmit_filtered_round(socket))
			return;
	}
	if (can_transmit(socket))
		sluice__ready(socket);
}

static void transmit_other(struct sluice_socket *socket, bool by_ring)
{
	if (sluice__sends_filtered(socket))
		transmit_filtered(socket);
	else if (can_transmit(socket))
		sluice__datagram_transmit(socket, by_ring);
}

static void transmit_socket(struct sluice_socket *socket, bool by_ring)
{
	if (sluice__socket_flags(socket) &
	    (SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_FILTERED_SENDS)) {
		transmit_other(socket, by_ring);
		return;
	}
	for (int round = 0; round < ROUNDS; round++) {
		if (!can_transmit(socket) || !transmit_round(socket, by_ring))
			return;
	}
	if (can_transmit(socket))
		sluice__ready(socket);
}

void sluice__transmit_now(struct sluice_socket *socket)
{
	const struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(engine);
	transmit_socket(socket, engine->backend->sends &&
					engine->options.transmit_way == SLUICE_TRANSMIT_WAY_RING);
}

/* For tests: alternates between the ways every few turns, whatever they cost. */
static bool is_way_flipped(struct sluice_engine *engine)
{
	return engine->ways.decisions++ / engine->ways.flips % 2;
}

/* Whether memory is sent by the ring in this turn. */
static bool choose_transmit_way(struct sluice_engine *engine)
{
	const struct sluice__plan_turn facts = {
		.ring = engine->backend->sends,
		.entering = engine->statistics.submitted != engine->ways.submitted_before,
		.way = engine->options.transmit_way,
		.sockets = engine->ready_count,
		.costs = engine->ways.costs,
	};
	bool by_ring = unlikely(engine->ways.flips) ? is_way_flipped(engine)
						    : sluice__plan_by_ring(&facts);

	if (by_ring)
		engine->statistics.turns_by_ring++;
	else
		engine->statistics.turns_inline++;
	return by_ring;
}

static void transmit_ready(struct sluice_engine *engine)
{
	struct sluice__link *ready = sluice__fifo_take_all(&engine->ready);
	bool by_ring = choose_transmit_way(engine);

	engine->ready_count = 0;
	while (ready) {
		struct sluice_socket *socket =
			sluice__element(ready, struct sluice_socket, ready_link);

		ready = ready->next;
		sluice__ready_taken(socket);
		transmit_socket(socket, by_ring);
	}
	if (engine->prefilling)
		sluice__sendq_drop_prefilled(&engine->prefilling->queue);
	engine->prefilling = NULL;
}

/* What the files of this turn leave to do. */
static __attribute__((noinline)) void transmit_files(struct sluice_engine *engine)
{
	while (unlikely(!sluice__fifo_is_empty(&engine->files->slices_waiting)) &&
	       sluice__slices_resume(engine))
		transmit_ready(engine);
	while (unlikely(!sluice__fifo_is_empty(&engine->files->windows_waiting)) &&
	       sluice__prefetch_resume(engine))
		transmit_ready(engine);
	if (engine->files->slices)
		sluice__file_slices_sent(engine);
	if (engine->files->sigpipe_masked)
		sluice__sigpipe_unmask(engine);
}

static bool has_files(const struct sluice__files *files)
{
	return (uintptr_t)files->slices_waiting.first | (uintptr_t)files->windows_waiting.first |
	       files->slices | files->sigpipe_masked;
}

void sluice__transmit(struct sluice_engine *engine)
{
	sluice__assert_owner(engine);
	if (!sluice__fifo_is_empty(&engine->ready))
		transmit_ready(engine);
	if (unlikely(has_files(engine->files)))
		transmit_files(engine);
}
