/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy transmissions: when to use one, how it starts, and its two completions. zc_send.c has
 * the list of those that wait for their notification.
 */
#include <errno.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "core/record.h"
#include "core/record_list.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"
#include "engine/owner.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "send/send.h"
#include "send/zc_send.h"

/* ---- the decision ---- */

/* The kernel supports zero copy only for TCP. */
static bool is_zerocopy_possible(const struct sluice_socket *socket)
{
	return !(sluice__socket_flags(socket) & (SLUICE__SHARED_NOT_TCP | SLUICE__SHARED_DATAGRAM));
}

static bool is_zerocopy_forced(const struct sluice_engine *engine)
{
	return engine->options.transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY;
}

static uint32_t zerocopy_mode(const struct sluice_engine *engine)
{
	return is_zerocopy_forced(engine) ? SLUICE_ZEROCOPY_ALWAYS : engine->options.zerocopy;
}

/* Checks once per connection whether the peer is local, and only if a trial would be made. */
static void begin_trials(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	if (socket->zerocopy.phase == SLUICE__ZEROCOPY_FRESH)
		sluice__zerocopy_begin(&socket->zerocopy, &engine->zerocopy->prior,
				       engine->backend->is_local(socket));
}

static bool wants_zerocopy(struct sluice_socket *socket, bool behind)
{
	uint32_t mode = zerocopy_mode(socket->engine);

	if (behind && mode == SLUICE_ZEROCOPY_AUTO)
		begin_trials(socket);
	if (sluice__zerocopy_wants(&socket->zerocopy, mode, behind))
		return true;
	sluice__zerocopy_passed(&socket->zerocopy);
	return false;
}

bool sluice__zc_send_considers(struct sluice_socket *socket, uint64_t bytes)
{
	sluice__assert_owner(socket->engine);
	if (!is_zerocopy_possible(socket))
		return false;
	/* AUTO copies records sent in parts, and a direct call takes more than gather_bytes. */
	if (bytes > socket->engine->options.gather_bytes &&
	    zerocopy_mode(socket->engine) == SLUICE_ZEROCOPY_AUTO)
		return false;
	return wants_zerocopy(socket, false);
}

/*
 * A partly sent record that is cancelled, times out or is shut down would have to wait for a peer
 * that does not read. So unless ALWAYS is set, only whole records without a deadline use zero copy.
 */
static bool is_sent_whole(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	const struct sluice_args *args = sluice__sendq_head(&socket->queue);
	uint64_t bytes = 0;

	for (;; args = args->run.next) {
		if (args->run.op_flags & SLUICE__OP_DEADLINE)
			return false;
		bytes += sluice__sendq_memory(args);
		if (args == gathered->last)
			break;
	}
	return bytes == gathered->bytes;
}

/* The kernel takes all of it, and the peer's acknowledges it even if the program never reads. */
static bool fits_whole(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	return is_sent_whole(socket, gathered) &&
	       gathered->bytes <= sluice__syscall_space(socket) &&
	       gathered->bytes <= socket->engine->backend->window(socket);
}

bool sluice__zc_send_fits(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__zerocopy_facts facts = {
		.mode = zerocopy_mode(engine),
		.forced = is_zerocopy_forced(engine),
		.threshold = engine->options.zerocopy_bytes,
		.bytes = gathered->bytes,
		.segments = gathered->count,
	};

	sluice__assert_owner(engine);
	if (!is_zerocopy_possible(socket) || (gathered->flags & ~(uint32_t)MSG_MORE))
		return false;
	facts.registered = sluice__region_of(engine, gathered->segments, gathered->count) > 0;
	if (!sluice__zerocopy_fits(&facts) ||
	    !wants_zerocopy(socket, gathered->last->run.next != NULL))
		return false;
	return facts.mode != SLUICE_ZEROCOPY_AUTO || fits_whole(socket, gathered);
}

/* ---- starting ---- */

/* The kernel supported single registered buffers first, lists of them later. */
static uint32_t send_region(const struct sluice_engine *engine,
			    const struct sluice__gather *gathered)
{
	if (gathered->count > 1 && !(engine->capabilities & SLUICE_CAPABILITY_REGISTERED_LISTS))
		return 0;
	return sluice__region_of(engine, gathered->segments, gathered->count);
}

bool sluice__zc_send_start(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__zc_send *zc_send = sluice__zc_send_take(engine);
	struct sluice__request *request;

	sluice__assert_owner(engine);
	sluice__assert(gathered->count > 0 && gathered->bytes > 0);
	if (!zc_send)
		return false;
	zc_send->result_seen = zc_send->learned = zc_send->taking = false;
	zc_send->partial = NULL;
	sluice__chain_init(&zc_send->done);
	request = &zc_send->request;
	request->kind = SLUICE__REQUEST_SEND_ZEROCOPY;
	request->segments = gathered->segments;
	request->segment_count = gathered->count;
	request->flags = gathered->flags;
	request->length = send_region(engine, gathered);
	if (sluice__request_start(socket, request) < 0) {
		sluice__zc_send_put(engine, zc_send);
		return false;
	}
	engine->arena.used += gathered->count;
	engine->statistics.zerocopy_pending++;
	sluice__zerocopy_sent(&socket->zerocopy);
	sluice__zc_send_add(socket, zc_send);
	return true;
}

/* ---- completions ---- */

/* Errors of zero copy, not of the stream: a copying send succeeds, or returns the real error. */
static bool is_path_error(int32_t result)
{
	switch (result) {
	case -EINVAL:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EPERM:
	case -ENOMEM:
	case -ENOBUFS:
	case -EFAULT:
	case -EMSGSIZE:
		return true;
	default:
		return false;
	}
}

static void zerocopy_refused(struct sluice_socket *socket, const struct sluice__zc_send *zc_send,
			     int32_t result)
{
	struct sluice_engine *engine = socket->engine;
	bool for_good = result != -ENOMEM && result != -ENOBUFS && result != -EFAULT;

	engine->statistics.zerocopy_failed++;
	if (result == -EINVAL && zc_send->request.length && zc_send->request.segment_count > 1) {
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_REGISTERED_LISTS;
		sluice__zerocopy_unsent(&socket->zerocopy);
		return;
	}
	/* EINVAL before any success: the kernel does not support it. */
	if (result == -EINVAL && engine->statistics.zerocopy_sends == 0) {
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_ZEROCOPY;
		sluice__zerocopy_limits(engine);
	}
	if (sluice__zerocopy_failed(&socket->zerocopy, for_good))
		engine->statistics.zerocopy_rests++;
}

static void count_zerocopy(struct sluice_engine *engine, const struct sluice__zc_send *zc_send)
{
	engine->statistics.zerocopy_sends++;
	if (zc_send->request.length)
		engine->statistics.zerocopy_registered++;
}

static void apply_result(struct sluice_socket *socket, struct sluice__zc_send *zc_send,
			 int32_t result)
{
	const struct sluice_args *head;

	zc_send->result_seen = true;
	zc_send->learned = result <= 0;
	zc_send->taking = result > 0;
	if (is_path_error(result)) {
		zerocopy_refused(socket, zc_send, result);
		result = -ECANCELED; /* nothing was taken; the records are gathered again */
	} else if (result <= 0) {
		sluice__zerocopy_unsent(&socket->zerocopy);
	} else {
		count_zerocopy(socket->engine, zc_send);
	}
	sluice__settle_result(socket, result);
	head = sluice__sendq_head(&socket->queue);
	if (zc_send->taking && head && head->run.sent)
		zc_send->partial = head;
	zc_send->taking = false;
}

/* The queue is empty and completed records wait: the caller continues only with their handlers. */
static bool is_starved(const struct sluice_socket *socket, const struct sluice__zc_send *zc_send)
{
	return sluice__sendq_is_empty(&socket->queue) && zc_send == socket->zc_sends &&
	       zc_send->done.first;
}

static void learn_outcome(struct sluice_socket *socket, struct sluice__zc_send *zc_send,
			  uint8_t freed)
{
	struct sluice_engine *engine = socket->engine;
	bool of_use = freed == SLUICE__FREED_SENT && !is_starved(socket, zc_send);

	if (zc_send->learned)
		return; /* nothing was taken */
	zc_send->learned = true;
	if (freed == SLUICE__FREED_COPIED)
		engine->statistics.zerocopy_copied++;
	if (zerocopy_mode(engine) == SLUICE_ZEROCOPY_AUTO &&
	    sluice__zerocopy_learned(&socket->zerocopy, &engine->zerocopy->prior, of_use))
		engine->statistics.zerocopy_rests++;
}

void sluice__zc_send_settle(struct sluice_socket *socket,
			    const struct sluice__completion *completion)
{
	struct sluice__zc_send *zc_send = (struct sluice__zc_send *)(void *)completion->request;

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->state & SLUICE__ST_ZC_SENDS);
	if (!zc_send->result_seen)
		apply_result(socket, zc_send, completion->result);
	else
		learn_outcome(socket, zc_send, completion->freed);
	if (!completion->more && !zc_send->learned) {
		/* Taken, and no notification follows: the buffer is free. */
		zc_send->learned = true;
		sluice__zerocopy_unsent(&socket->zerocopy);
	}
	sluice__zc_send_retire_in_order(socket);
}
