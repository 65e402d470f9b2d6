/* SPDX-License-Identifier: MIT */
/*
 * Sends the file at the head of the queue, one slice per turn. The slice is probed first,
 * prefetched if it is not in the page cache, and sent without blocking. Nothing is buffered here:
 * what the socket does not take stays in the page cache.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "core/packets.h"
#include "core/plan.h"
#include "core/record.h"
#include "core/refusal.h"
#include "core/sendq.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "send/send.h"

#define SCRATCH (256u << 10)
#define UNCACHED_SLICE (128u << 10)
#define BLOCKED_NS 1000000 /* longer than any slice from the page cache takes */
#define SLICE_NS 200000    /* longer than slices from the page cache take on average */
#define WATCHED 64u        /* turns with slices whose sleeps are counted, after a slow one */

/* ---- one slice ---- */

/* Reads into the engine's scratch. Returns bytes or -errno; *ret_more: the record continues. */
static int64_t read_slice(struct sluice_engine *engine, const struct sluice_args *args,
			  uint64_t count, bool *ret_more)
{
	struct sluice__packets *packets = args->rare.side;
	const struct sluice__part *part = sluice__packets_part(packets);
	ssize_t got;

	packets->way = SLUICE__PLAN_READ;
	if (!engine->files->scratch)
		engine->files->scratch = sluice__allocate(engine, SCRATCH);
	if (!engine->files->scratch)
		return -ENOMEM;
	got = pread(part->fd, engine->files->scratch, count < SCRATCH ? count : SCRATCH,
		    (off_t)(part->offset + packets->at));
	if (got <= 0)
		return got < 0 ? -errno : 0;
	*ret_more = packets->at + (uint64_t)got < part->count ||
		    packets->index + 1 < packets->count || (args->run.op_flags & SLUICE__OP_MORE);
	return got;
}

/* Sends the head's file, through the engine's scratch. */
static int64_t send_by_reading(struct sluice_socket *socket, uint64_t count)
{
	struct sluice_engine *engine = socket->engine;
	struct iovec segment;
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
	bool more = false;
	int64_t got = read_slice(engine, sluice__sendq_head(&socket->queue), count, &more);

	if (got <= 0)
		return got;
	segment.iov_base = engine->files->scratch;
	segment.iov_len = (size_t)got;
	engine->statistics.inline_sends++;
	return engine->backend->try_send(engine, socket, &message, more ? MSG_MORE : 0);
}

int64_t sluice__file_send(struct sluice_socket *socket, int fd, uint64_t offset, uint64_t count,
			  bool piped)
{
	struct sluice_engine *engine = socket->engine;
	int64_t taken;

	sluice__assert_owner(socket->engine);
	sluice__sigpipe_mask(engine);
	engine->statistics.inline_files++;
	taken = engine->backend->try_send_file(engine, socket, fd, offset, count, piped);
	/* After a short count the stream may have failed too, and raised the signal. */
	engine->files->sigpipe_raised |= taken < (int64_t)count;
	return taken;
}

/* The first slice of a turn. */
static void slices_begin(struct sluice__files *files)
{
	if (unlikely(files->watched))
		files->sleeps = sluice__sleeps();
	files->slices_ns = sluice__now();
}

/*
 * A slice that was found in the page cache and then evicted makes the thread sleep for a disk's
 * time; one that is there takes some ten microseconds. To ask how often the thread has slept is a
 * system call, so it is asked only for a while after slices took too long.
 */
void sluice__file_slices_sent(struct sluice_engine *engine)
{
	struct sluice__files *files = engine->files;
	uint64_t spent = sluice__now() - files->slices_ns;

	sluice__assert_owner(engine);
	sluice__assert(files->slices);
	if (unlikely(spent > files->slices * (uint64_t)SLICE_NS)) {
		if (files->watched && sluice__sleeps() > files->sleeps)
			engine->statistics.file_blocked++;
		files->watched = WATCHED;
	} else if (unlikely(files->watched)) {
		files->watched--;
	}
	files->slices = 0;
}

static int64_t send_slice(struct sluice_socket *socket, struct sluice__packets *packets, int way,
			  uint64_t offset, uint64_t count)
{
	struct sluice_engine *engine = socket->engine;

	if (engine->busy && engine->files->slices++ == 0)
		slices_begin(engine->files);
	if (way == SLUICE__PLAN_READ)
		return send_by_reading(socket, count);
	packets->way = (uint8_t)way;
	/* A read is sent with MSG_MORE instead. */
	sluice__cork(socket, sluice__sendq_head(&socket->queue));
	return sluice__file_send(socket, sluice__packets_part(packets)->fd, offset, count,
				 way != SLUICE__PLAN_SENDFILE);
}

/*
 * The file cannot be sent by reference, perhaps because of its file system or a sandbox: reads it
 * instead. An error of the socket or of the file itself occurs again in this attempt.
 */
static int64_t retry_by_reading(struct sluice_socket *socket, uint64_t count, int64_t refusal)
{
	struct sluice__packets *packets = sluice__sendq_head(&socket->queue)->rare.side;
	struct sluice__part *part = sluice__packets_part(packets);
	int64_t taken;

	if (sluice__file_way_now(socket->engine, packets, part) == SLUICE__PLAN_READ)
		return refusal;
	taken = send_by_reading(socket, count);
	if (taken > 0)
		sluice__file_refused(socket->engine, part);
	return taken;
}

/*
 * A range remembered as cached may have been evicted. A slice that takes as long as a disk
 * indicates that, and the rest of the file is prefetched.
 */
static int64_t send_slice_timed(struct sluice_socket *socket, struct sluice__packets *packets,
				int way, uint64_t offset, uint64_t count)
{
	uint64_t before;
	int64_t taken;

	if (packets->at + count == sluice__packets_part(packets)->count)
		return send_slice(socket, packets, way, offset, count);
	before = sluice__now();
	taken = send_slice(socket, packets, way, offset, count);
	packets->uncached |= sluice__now() - before > BLOCKED_NS;
	return taken;
}

/* ---- results ---- */

static bool is_socket_error(int error_number)
{
	switch (error_number) {
	case EPIPE:
	case ECONNRESET:
	case ECONNABORTED:
	case ETIMEDOUT:
	case ENOTCONN:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return true;
	default:
		return false;
	}
}

/*
 * sendfile hides a reset behind a short count and returns EPIPE next. Without a shutdown from this
 * side and without the peer's end of stream, EPIPE means that reset.
 */
static void stream_failed(struct sluice_socket *socket, int error_number)
{
	if (error_number == EPIPE && !(socket->state & SLUICE__ST_END_SEEN) &&
	    !(sluice__socket_flags(socket) & (SLUICE__SHARED_NOT_TCP | SLUICE__SHARED_SHUT_SEND)))
		sluice__socket_saw_reset(socket);
	sluice__settle_failed(socket, error_number);
}

/*
 * The file failed, not the stream. Before its first byte the record fails alone. After it the
 * stream ends: nothing may follow in the middle of a file.
 */
static void file_failed(struct sluice_socket *socket, int32_t error, int32_t native)
{
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	bool broken = args->run.sent > 0;

	sluice__uncork(socket);
	sluice__sendq_finish_head(&socket->queue, sluice__done(socket), error, native,
				  args->run.sent);
	if (broken)
		sluice__settle_shut(socket);
	sluice__settle_shorter(socket);
}

/* The current part has been sent completely. */
static void count_file(struct sluice_engine *engine, const struct sluice__packets *packets)
{
	switch (packets->way) {
	case SLUICE__PLAN_READ:
		/* Atomic: small files are read, and counted, on the starting thread. */
		__atomic_fetch_add(&engine->statistics.files_read, 1, __ATOMIC_RELAXED);
		break;
	case SLUICE__PLAN_SPLICE:
	case SLUICE__PLAN_SPLICE_RING:
		engine->statistics.files_spliced++;
		break;
	default:
		engine->statistics.files_sendfile++;
	}
}

/* Advances the head by taken of asked bytes. True: continue with the queue. */
static bool advance_file(struct sluice_socket *socket, uint64_t asked, uint64_t taken)
{
	struct sluice_args *args = sluice__sendq_head(&socket->queue);
	struct sluice__packets *packets = args->rare.side;
	bool whole_part = taken == packets->parts[packets->index].count - packets->at;

	socket->transmissions++;
	socket->bytes_sent += taken;
	if (whole_part)
		count_file(socket->engine, packets);
	if (sluice__sendq_advance_file(args, taken)) {
		sluice__sent_head(socket);
		return true;
	}
	if (whole_part)
		return true;
	if (sluice__socket_is_closing(socket))
		return false; /* a closing socket waits for nothing */
	if (taken < asked) {
		/* epoll reports an edge only after a call that found the socket full. */
		if (socket->engine->backend->sends)
			sluice__transmit_blocked(socket);
		else
			sluice__ready(socket);
		return false;
	}
	sluice__ready(socket); /* after the other sockets */
	return false;
}

/*
 * A part found uncached stays so, and each of its windows is prefetched: a probe starts read-ahead,
 * so the next probe would find the ends cached and the middle still being read.
 */
static bool is_cached(struct sluice_socket *socket, struct sluice__packets *packets,
		      uint64_t offset, uint64_t count)
{
	if (!packets->uncached)
		packets->uncached = !sluice__page_cache_holds(
			socket->engine, sluice__packets_part(packets), offset, count);
	return !packets->uncached;
}

/*
 * Whether a handler has run since the last slice of an uncached file. The disk limits the rate of
 * such a file, so its slices are then short, to delay the other sockets little.
 */
static bool are_handlers_running(struct sluice_engine *engine)
{
	bool served = engine->statistics.handlers != engine->files->slice_handlers;

	engine->files->slice_handlers = engine->statistics.handlers;
	return served;
}

/* Sends a slice through the socket's filter. Other sockets take their turn after it, as usual. */
static bool seal_file_slice(struct sluice_socket *socket, uint64_t count)
{
	const struct sluice_args *args = sluice__sendq_head(&socket->queue);
	struct iovec segment;
	int64_t got;
	bool more = false;

	if (count > SLUICE__SEAL_MAX)
		count = SLUICE__SEAL_MAX;
	got = read_slice(socket->engine, args, count, &more);
	if (got <= 0)
		return sluice__file_tried(socket, count, got);
	segment = (struct iovec){socket->engine->files->scratch, (size_t)got};
	if (!sluice__filter_send_slice(
		    socket, &segment, more || (args->run.op_flags & SLUICE__OP_MORE) ? MSG_MORE : 0,
		    !more && ((args->run.op_flags & SLUICE__OP_THEN_DISCONNECT) ||
			      ((socket->state & SLUICE__ST_GRACEFUL) && !args->run.next))))
		return false;
	return !(socket->state & SLUICE__ST_READY);
}

void sluice__file_sealed(struct sluice_socket *socket, uint64_t bytes)
{
	sluice__assert_owner(socket->engine);
	advance_file(socket, bytes, bytes);
}

static bool submit_slice(struct sluice_socket *socket, uint64_t offset, uint64_t count)
{
	struct sluice__packets *packets = sluice__sendq_head(&socket->queue)->rare.side;

	packets->way = SLUICE__PLAN_SPLICE_RING;
	sluice__cork(socket, sluice__sendq_head(&socket->queue));
	return sluice__file_submit(socket, sluice__packets_part(packets), offset, count);
}

bool sluice__file_transmit(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;
	struct sluice__packets *packets = sluice__sendq_head(&socket->queue)->rare.side;
	struct sluice__part *part = sluice__packets_part(packets);
	uint64_t offset = part->offset + packets->at;
	uint64_t count = part->count - packets->at;
	int64_t taken;
	int way;

	sluice__assert_owner(engine);
	sluice__assert(packets && !sluice__packets_done(packets));
	if (count > engine->options.file_slice_bytes)
		count = sluice__file_align(offset, engine->options.file_slice_bytes);
	if (offset < packets->cached_to && offset + count > packets->cached_to)
		count = packets->cached_to - offset;
	if (offset + count > packets->cached_to && !is_cached(socket, packets, offset, count)) {
		if (count > engine->options.fetch_window_bytes)
			count = engine->options.fetch_window_bytes;
		sluice__prefetch_begin(socket, part, offset, count);
		return false;
	}
	if (packets->uncached && count > UNCACHED_SLICE && are_handlers_running(engine))
		count = UNCACHED_SLICE;
	way = sluice__file_way_now(engine, packets, part);
	if (count > SCRATCH && way == SLUICE__PLAN_READ)
		count = SCRATCH;
	if (sluice__sends_filtered(socket))
		return seal_file_slice(socket, count);
	if (way == SLUICE__PLAN_SPLICE_RING && submit_slice(socket, offset, count))
		return false;
	taken = send_slice_timed(socket, packets, way, offset, count);
	if (unlikely(packets->by_calls) && taken > 0)
		engine->capabilities &= ~(uint32_t)SLUICE_CAPABILITY_RING_SPLICE;
	return sluice__file_tried(socket, count, taken);
}

bool sluice__file_tried(struct sluice_socket *socket, uint64_t count, int64_t taken)
{
	sluice__assert_owner(socket->engine);
	sluice__assert(taken <= (int64_t)count);
	if (unlikely(taken < 0) && sluice__refusal_is((int)-taken))
		taken = retry_by_reading(socket, count, taken);
	if (taken == -EAGAIN) {
		sluice__transmit_blocked(socket);
		return false;
	}
	if (taken > 0)
		return advance_file(socket, count, (uint64_t)taken);
	if (taken == 0)
		file_failed(socket, SLUICE_ERROR_NO_DATA, ENODATA);
	else if (is_socket_error((int)-taken))
		stream_failed(socket, (int)-taken);
	else if (taken != -EINTR)
		file_failed(socket, sluice_socket_error_from_errno((int)taken), (int32_t)-taken);
	return true;
}

void sluice__file_settle(struct sluice_socket *socket, int32_t result)
{
	struct sluice__packets *packets = sluice__sendq_head(&socket->queue)->rare.side;
	uint64_t read = socket->out.length;

	sluice__assert_owner(socket->engine);
	sluice__assert(result <= (int64_t)socket->flight.bytes);
	sluice__flight_ended(socket);
	sluice__slices_settled(socket->engine);
	if (result == -ECANCELED)
		return; /* unless it is cancelled or closed, the next slice begins at the same byte */
	if (result <= 0 && sluice__socket_is_closing(socket))
		return;
	if (result < 0 && sluice__refusal_is(-result))
		packets->by_calls = true;
	else
		sluice__file_tried(socket, read, result);
}
