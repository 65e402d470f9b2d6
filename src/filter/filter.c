/* SPDX-License-Identifier: MIT */
/* The parts of a filter that do not depend on sending or on the handshake. */
#include "filter/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "core/packets.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/state.h"

bool sluice__filter_is_file(const struct sluice_args *args)
{
	const struct sluice__packets *packets = args->rare.side;

	return (args->run.op_flags & SLUICE__OP_PACKETS) && !packets->beyond &&
	       !sluice__packets_done(packets) &&
	       packets->parts[packets->index].kind == SLUICE__PART_FILE;
}

void sluice__filter_offer(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	const void *base;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & (SLUICE__ST_BLOCKED | SLUICE__PHASE_MASK)) &&
	    filter->calls.output(filter->calls.token, &base))
		sluice__ready(socket);
}

void sluice__filter_goodbye(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	struct sluice_engine *engine = socket->engine;
	struct iovec segment;
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
	const void *base;

	sluice__assert_owner(engine);
	if (!filter->opened || filter->ended)
		return;
	/* After a partly sent batch the peer could not decode anything else. */
	if (filter->calls.output(filter->calls.token, &base))
		return;
	filter->ended = true;
	filter->calls.end(filter->calls.token);
	segment.iov_len = filter->calls.output(filter->calls.token, &base);
	segment.iov_base = (void *)(uintptr_t)base;
	if (segment.iov_len)
		engine->backend->try_send(engine, socket, &message, 0);
}

/* ---- FIN ---- */

#define RETRY_FIRST_NS 1000000
#define RETRY_LAST_NS 64000000

bool sluice__filter_is_pushed(const struct sluice_socket *socket)
{
	const struct sluice__filter *filter = sluice__filter_of(socket);
	const struct sluice_filter *calls = &filter->calls;

	sluice__assert_owner(socket->engine);
	if (!filter->opened || !sluice__kernel_filters(socket))
		return true;
	/* The bytes of a transmission in flight are not counted yet. */
	if ((socket->state & SLUICE__ST_IN_FLIGHT) ||
	    (filter->ended && calls->unended && calls->unended(calls->token)))
		return false;
	return !calls->unpushed ||
	       !calls->unpushed(calls->token, socket->bytes_sent - filter->taken_before);
}

int64_t sluice__filter_retry_ns(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);

	sluice__assert_owner(socket->engine);
	if (!filter->retry_ns)
		filter->retry_ns = RETRY_FIRST_NS;
	else if (filter->retry_ns < RETRY_LAST_NS)
		filter->retry_ns *= 2;
	return filter->retry_ns;
}

static bool waits_for_push(const struct sluice_socket *socket)
{
	int64_t until = sluice__filter_of(socket)->shut_until;

	return !sluice__filter_is_pushed(socket) && !sluice__dead(socket->engine) &&
	       !(socket->state & SLUICE__ST_RESET_SEEN) &&
	       (!until || (int64_t)sluice__now() < until);
}

int sluice__filter_shut(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	struct sluice_filter *calls = &filter->calls;

	sluice__assert_owner(socket->engine);
	if (!filter->shut_owed) {
		filter->shut_owed = true;
		filter->retry_ns = 0;
	}
	if (filter->ended && calls->unended && calls->unended(calls->token))
		calls->end(calls->token);
	if (waits_for_push(socket))
		return -EAGAIN;
	filter->shut_owed = false;
	return shutdown(socket->fd, SHUT_WR) < 0 ? -errno : 0;
}

bool sluice__filter_owes_shut(const struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	return sluice__is_filtered(socket) && sluice__filter_of(socket)->shut_owed;
}

/* ---- records that leave the queue early ---- */

uint64_t sluice__filter_forget(struct sluice_socket *socket, const struct sluice_args *args)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	const struct sluice_args *at = sluice__sendq_head(&socket->queue);
	uint64_t before = 0, mine;

	sluice__assert_owner(socket->engine);
	if (!filter->owed)
		return 0;
	for (; at != args; at = at->run.next)
		before += sluice__sendq_unsent(at);
	if (before >= filter->owed)
		return 0;
	mine = sluice__filter_is_file(args) ? filter->owed : sluice__sendq_unsent(args);
	if (mine > filter->owed - before)
		mine = filter->owed - before;
	filter->owed -= mine;
	filter->whole = true;
	if (!(socket->state & SLUICE__ST_BLOCKED))
		sluice__ready(socket);
	return mine;
}

void sluice__filter_forget_all(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);

	sluice__assert_owner(socket->engine);
	filter->whole |= filter->owed > 0;
	filter->owed = 0;
}

/* ---- receiving ---- */

int64_t sluice__filter_receive(struct sluice_socket *socket, const struct iovec *segments,
			       size_t count, uint32_t flags)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	int64_t result;

	sluice__assert_owner(socket->engine);
	if (!filter->opened)
		return -ENOTCONN;
	result = filter->calls.receive(filter->calls.token, segments, count, flags);
	sluice__filter_offer(socket);
	if (result < 0 && result != -EAGAIN &&
	    (sluice__socket_flags(socket) & SLUICE__SHARED_SHUT_RECEIVE))
		return 0;
	return result;
}

bool sluice__filter_pending(const struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);

	sluice__assert_owner(socket->engine);
	return filter->opened && filter->calls.pending(filter->calls.token);
}

void sluice__filter_free(struct sluice_socket *socket)
{
	struct sluice__filter *filter = socket->marks ? socket->marks->filter : NULL;

	if (!filter)
		return;
	socket->marks->filter = NULL;
	filter->calls.destroy(filter->calls.token);
	free(filter);
}
