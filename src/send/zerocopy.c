/* SPDX-License-Identifier: MIT */
/*
 * Transmissions by zero copy: whether one is of use, how it starts, and what its two answers mean.
 * zc_sends.c keeps what waits for the second answer.
 */
#include <errno.h>

#include "core/zerocopy_policy.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "send/send.h"
#include "send/zc_send.h"

/* ---- whether ---- */

/* What the kernel can do at all on this socket. */
static bool is_possible(const struct sluice_socket *socket)
{
	return !(sluice__socket_flags(socket) & (SLUICE__SHARED_NOT_TCP | SLUICE__SHARED_DATAGRAM));
}

static bool is_forced(const struct sluice_engine *engine)
{
	return engine->options.transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY;
}

static uint32_t mode_of(const struct sluice_engine *engine)
{
	return is_forced(engine) ? SLUICE_ZEROCOPY_ALWAYS : engine->options.zerocopy;
}

/* The kernel is asked about the peer once for each connection, and only if a trial would be made. */
static void begin_trials(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	if (socket->zerocopy.phase == SLUICE__ZEROCOPY_FRESH)
		sluice__zerocopy_begin(&socket->zerocopy, &engine->zerocopy_prior,
				       engine->backend->is_local(socket));
}

static bool wants(struct sluice_socket *socket, bool behind)
{
	uint32_t mode = mode_of(socket->engine);

	if (behind && mode == SLUICE_ZEROCOPY_AUTO)
		begin_trials(socket);
	if (sluice__zerocopy_wants(&socket->zerocopy, mode, behind))
		return true;
	sluice__zerocopy_passed(&socket->zerocopy);
	return false;
}

bool sluice__zc_send_considers(struct sluice_socket *socket, uint64_t bytes)
{
	if (!is_possible(socket))
		return false;
	/* In parts it would be copied anyway, and one call takes more than a gathering may. */
	if (bytes > socket->engine->options.gather_bytes &&
	    mode_of(socket->engine) == SLUICE_ZEROCOPY_AUTO)
		return false;
	return wants(socket, false);
}

/*
 * A record that is cancelled, overdue or shut down half-sent would have to wait for a peer that does
 * not read. So unless ALWAYS was asked for, only what leaves whole goes by zero copy.
 */
static bool gives_back(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	const struct sluice_args *args = socket->queue.list.head;
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

/* Taken at once, and acknowledged by the peer's kernel whether its program reads or not. */
static bool leaves_whole(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	return gives_back(socket, gathered) && gathered->bytes <= sluice__syscall_space(socket) &&
	       gathered->bytes <= socket->engine->backend->window(socket);
}

bool sluice__zc_send_fits(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__zerocopy_facts facts = {
		.mode = mode_of(engine),
		.forced = is_forced(engine),
		.threshold = engine->options.zerocopy_bytes,
		.bytes = gathered->bytes,
		.segments = gathered->count,
	};

	if (!is_possible(socket) || (gathered->flags & ~(uint32_t)MSG_MORE))
		return false;
	facts.registered = sluice__region_of(engine, gathered->segments, gathered->count) > 0;
	if (!sluice__zerocopy_fits(&facts) || !wants(socket, gathered->last->run.next != NULL))
		return false;
	return facts.mode != SLUICE_ZEROCOPY_AUTO || leaves_whole(socket, gathered);
}

/* ---- on the way ---- */

/* Lists from registered memory came later than single buffers. */
static uint32_t region_of(const struct sluice_engine *engine, const struct sluice__gather *gathered)
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
	request->length = region_of(engine, gathered);
	if (sluice__request_start(socket, request) < 0) {
		sluice__zc_send_put(engine, zc_send);
		return false;
	}
	engine->arena_used += gathered->count;
	engine->statistics.zerocopy_pending++;
	sluice__zerocopy_sent(&socket->zerocopy);
	sluice__zc_send_add(socket, zc_send);
	return true;
}

/* ---- back ---- */

/* Errors of the way and not of the stream: by copying it works, or shows what is wrong. */
static bool is_refusal(int32_t result)
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

static void refused(struct sluice_socket *socket, const struct sluice__zc_send *zc_send,
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
	/* What no socket was able to do so far is not in this kernel. */
	if (result == -EINVAL && engine->statistics.zerocopy_sends == 0) {
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_ZEROCOPY;
		sluice__zerocopy_limits(engine);
	}
	if (sluice__zerocopy_failed(&socket->zerocopy, for_good))
		engine->statistics.zerocopy_rests++;
}

static void count(struct sluice_engine *engine, const struct sluice__zc_send *zc_send)
{
	engine->statistics.zerocopy_sends++;
	if (zc_send->request.length)
		engine->statistics.zerocopy_registered++;
}

static void settle_result(struct sluice_socket *socket, struct sluice__zc_send *zc_send,
			  int32_t result)
{
	const struct sluice_args *head;

	zc_send->result_seen = true;
	zc_send->learned = result <= 0;
	zc_send->taking = result > 0;
	if (is_refusal(result)) {
		refused(socket, zc_send, result);
		result = -ECANCELED; /* nothing was taken; the rest is gathered anew */
	} else if (result <= 0) {
		sluice__zerocopy_unsent(&socket->zerocopy);
	} else {
		count(socket->engine, zc_send);
	}
	sluice__settle_result(socket, result);
	head = socket->queue.list.head;
	if (zc_send->taking && head && head->run.sent)
		zc_send->partial = head;
	zc_send->taking = false;
}

/* Nothing is queued, and handlers have waited: the caller goes on only with them. */
static bool is_starved(const struct sluice_socket *socket, const struct sluice__zc_send *zc_send)
{
	return !socket->queue.list.head && zc_send == socket->zc_sends && zc_send->done.first;
}

static void learn(struct sluice_socket *socket, struct sluice__zc_send *zc_send, uint8_t freed)
{
	struct sluice_engine *engine = socket->engine;
	bool of_use = freed == SLUICE__FREED_SENT && !is_starved(socket, zc_send);

	if (zc_send->learned)
		return; /* nothing was taken */
	zc_send->learned = true;
	if (freed == SLUICE__FREED_COPIED)
		engine->statistics.zerocopy_copied++;
	if (mode_of(engine) == SLUICE_ZEROCOPY_AUTO &&
	    sluice__zerocopy_learned(&socket->zerocopy, &engine->zerocopy_prior, of_use))
		engine->statistics.zerocopy_rests++;
}

void sluice__zc_send_settle(struct sluice_socket *socket,
			    const struct sluice__completion *completion)
{
	struct sluice__zc_send *zc_send = (struct sluice__zc_send *)(void *)completion->request;

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->state & SLUICE__ST_ZC_SENDS);
	if (!zc_send->result_seen)
		settle_result(socket, zc_send, completion->result);
	else
		learn(socket, zc_send, completion->freed);
	if (!completion->more && !zc_send->learned) {
		/* Taken, and no notification follows: the buffer is free, who knows why. */
		zc_send->learned = true;
		sluice__zerocopy_unsent(&socket->zerocopy);
	}
	sluice__zc_send_retire_in_order(socket);
}
