/* SPDX-License-Identifier: MIT */
/* Sends through a filter: seals a batch of bytes and settles it as the kernel takes the output. */
#include <errno.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "core/packets.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "send/send.h"

/* The kernel took the output of so many bytes at the head of the queue. */
static void settle_sealed(struct sluice_socket *socket, uint64_t bytes)
{
	struct sluice_args *last = sluice__sendq_head(&socket->queue);
	uint32_t records = 1;
	uint64_t covered;

	if (sluice__filter_is_file(last)) {
		sluice__file_sealed(socket, bytes);
		return;
	}
	covered = sluice__sendq_unsent(last);
	while (covered < bytes) {
		last = last->run.next;
		covered += sluice__sendq_unsent(last);
		records++;
	}
	socket->flight = (struct sluice__flight){last, covered, records, false};
	sluice__settle_sent(socket, bytes);
}

static void credit_output(struct sluice_socket *socket, uint64_t bytes, bool all)
{
	struct sluice__filter *filter = sluice__filter_of(socket);

	if (all)
		bytes = filter->owed;
	else if (filter->whole)
		return;
	sluice__assert(bytes <= filter->owed);
	filter->owed -= bytes;
	if (all)
		filter->whole = false;
	if (bytes)
		settle_sealed(socket, bytes);
}

bool sluice__filter_flush(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	struct sluice_engine *engine = socket->engine;
	struct iovec segment;
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
	const void *base;
	size_t length;

	sluice__assert_owner(engine);
	/* Until EAGAIN: epoll reports an edge only after a call that found the socket full. */
	while ((length = filter->calls.output(filter->calls.token, &base))) {
		int64_t taken;
		uint64_t whole;

		segment = (struct iovec){(void *)(uintptr_t)base, length};
		taken = engine->backend->try_send(engine, socket, &message, filter->flags);
		engine->statistics.inline_sends++;
		if (taken == -EINTR)
			continue;
		if (taken == -EAGAIN) {
			sluice__transmit_blocked(socket);
			return false;
		}
		if (taken < 0) {
			sluice__settle_failed(socket, (int)-taken);
			return false;
		}
		whole = filter->calls.sent(filter->calls.token, (size_t)taken);
		credit_output(socket, whole, (size_t)taken == length);
	}
	return true;
}

void sluice__filter_flush_idle(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	const void *base;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & (SLUICE__ST_BLOCKED | SLUICE__PHASE_MASK)) && !socket->out.armed &&
	    filter->calls.output(filter->calls.token, &base))
		sluice__filter_flush(socket);
}

static bool seal_and_send(struct sluice_socket *socket, const struct iovec *segments,
			  uint32_t count, uint32_t flags, bool last)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	int64_t sealed;

	sluice__assert(!filter->owed);
	if (!filter->opened) {
		sluice__settle_failed(socket, ENOTCONN);
		return false;
	}
	sealed = filter->calls.seal(filter->calls.token, segments, count,
				    last ? SLUICE_FILTER_LAST : 0);
	if (sealed < 0) {
		sluice__settle_failed(socket, (int)-sealed);
		return false;
	}
	filter->owed = (uint64_t)sealed;
	filter->flags = flags;
	return sluice__filter_flush(socket);
}

/* Whether the stream ends after these records. */
static bool ends_stream(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	const struct sluice_args *last = gathered->last;

	if (!gathered->plain && (last->run.op_flags & SLUICE__OP_PACKETS)) {
		const struct sluice__packets *packets = last->rare.side;

		for (uint32_t i = packets->index; i < packets->count; i++) {
			if (packets->parts[i].kind == SLUICE__PART_FILE)
				return false;
		}
	}
	return (last->run.op_flags & SLUICE__OP_THEN_DISCONNECT) ||
	       ((socket->state & SLUICE__ST_GRACEFUL) && !last->run.next);
}

/* A record that a part completes: the rest of it is sealed as well, and goes out. */
static bool has_partial(const struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	const struct sluice_args *args = sluice__sendq_head(&socket->queue);

	if (gathered->plain)
		return false;
	while (!(args->run.op_flags & SLUICE__OP_PARTIAL) && args != gathered->last)
		args = args->run.next;
	return args->run.op_flags & SLUICE__OP_PARTIAL;
}

bool sluice__filter_send(struct sluice_socket *socket, const struct sluice__gather *gathered)
{
	sluice__assert_owner(socket->engine);
	if (!gathered->bytes) {
		sluice__settle_sent(socket, 0);
		return true;
	}
	if (has_partial(socket, gathered))
		sluice__filter_of(socket)->whole = true;
	return seal_and_send(socket, gathered->segments, gathered->count, gathered->flags,
			     ends_stream(socket, gathered));
}

bool sluice__filter_send_slice(struct sluice_socket *socket, const struct iovec *slice,
			       uint32_t flags, bool last)
{
	sluice__assert_owner(socket->engine);
	return seal_and_send(socket, slice, 1, flags, last);
}

static bool is_unended(const struct sluice__filter *filter)
{
	return filter->calls.unended && filter->calls.unended(filter->calls.token);
}

bool sluice__filter_end(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);

	sluice__assert_owner(socket->engine);
	if (!filter->ended || is_unended(filter))
		filter->calls.end(filter->calls.token);
	filter->ended = true;
	filter->flags = 0;
	if (is_unended(filter)) {
		sluice__transmit_blocked(socket);
		return false;
	}
	if (!sluice__filter_is_pushed(socket)) {
		sluice__block(socket);
		sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, sluice__filter_retry_ns(socket));
		return false;
	}
	return sluice__filter_flush(socket);
}

/* ---- FIN ---- */

int sluice__send_fin(struct sluice_socket *socket)
{
	int error;

	sluice__assert_owner(socket->engine);
	if (!sluice__is_filtered(socket))
		return shutdown(socket->fd, SHUT_WR) < 0 ? -errno : 0;
	error = sluice__filter_shut(socket);
	if (error != -EAGAIN)
		return error;
	sluice__timer_arm(socket, SLUICE__NODE_RETRY_SEND, sluice__filter_retry_ns(socket));
	return 0;
}
