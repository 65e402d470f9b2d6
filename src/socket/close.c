/* SPDX-License-Identifier: MIT */
/*
 * Closing a socket. All transitions between its phases are in this file:
 *
 *   OPEN            --close, destroy, or the engine ends-->               CLOSING
 *   CLOSING         --only zero-copy notifications are outstanding-->     ENDING
 *   ENDING          --nothing is lost by FIN, or close_linger_ns expires-->  WAIT_ZEROCOPY
 *   WAIT_ZEROCOPY   --zerocopy_linger_ns expires-->                       RESETTING
 *   WAIT_ZEROCOPY   --all buffers released, data unacknowledged-->        LINGERING
 *   WAIT_ZEROCOPY, RESETTING   --all buffers released-->                  CLOSED
 *   LINGERING       --all acknowledged, or close_linger_ns expires-->     CLOSED
 *   OPEN            --detach-->                                           CLOSED
 *
 * CLOSING: requests are cancelled, because close(2) cancels nothing. When they have completed,
 * pending operations end with OperationAborted. ENDING: if the kernel encrypts, it may hold a part of
 * what it took; other sockets leave this phase at once. Then the peer gets FIN, or RST if sends were
 * aborted. RESETTING: the connection was reset, so that the kernel releases its buffers. LINGERING:
 * the descriptor stays open until the peer has acknowledged everything. CLOSED: the descriptor is
 * closed. The handle may be destroyed (HANDLE_GONE) in any phase; the memory is then freed after
 * the last handler.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/wheel.h"
#include "core/record.h"
#include "core/sendq.h"
#include "core/zerocopy_policy.h"
#include "engine/close_wait.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "file/file.h"
#include "filter/filter.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

static void change_phase(struct sluice_socket *socket, uint32_t from, enum sluice__phase to)
{
	sluice__assert(from & 1u << sluice__socket_phase(socket));
	sluice__assert(sluice__socket_flags(socket) & SLUICE__SHARED_CLOSED);
	socket->state &= ~SLUICE__PHASE_MASK;
	socket->state |= (uint32_t)to << SLUICE__PHASE_SHIFT;
}

/* Explicitly, because close(2) sends no FIN while a duplicate of the descriptor exists. */
static bool send_closing_fin(struct sluice_socket *socket)
{
	bool is_shut = sluice__socket_flags(socket) &
		       (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED);

	if (!sluice__is_filtered(socket)) {
		if (!is_shut)
			shutdown(socket->fd, SHUT_WR);
		return true;
	}
	if (!is_shut)
		sluice__filter_goodbye(socket);
	else if (!sluice__filter_owes_shut(socket))
		return true;
	return sluice__filter_shut(socket) != -EAGAIN;
}

/* Returns false if FIN has to wait. */
static bool shut_connection(struct sluice_socket *socket)
{
	uint32_t shared = sluice__socket_flags(socket);

	if (!sluice__socket_is_stream(socket) ||
	    (shared & (SLUICE__SHARED_UNCONNECTED | SLUICE__SHARED_CONNECTING)))
		return true;
	if ((socket->state & SLUICE__ST_LOST) && !(shared & SLUICE__SHARED_SHUT_SEND)) {
		if (sluice__socket_is_tcp(socket))
			sluice__socket_reset(socket);
		return true;
	}
	if (!send_closing_fin(socket))
		return false;
	/* A UNIX peer sends nothing after that, and a close with unread data would be a reset. */
	if (socket->family == AF_UNIX)
		shutdown(socket->fd, SHUT_RD);
	if ((sluice__socket_is_tcp(socket) || socket->family == AF_UNIX) &&
	    !(socket->state & (SLUICE__ST_END_SEEN | SLUICE__ST_RESET_SEEN)))
		sluice__socket_drain(socket);
	return true;
}

static void abort_sends(struct sluice_socket *socket)
{
	bool shut = sluice__socket_flags(socket) & SLUICE__SHARED_SHUT_SEND;
	int32_t error = shut ? SLUICE_ERROR_SHUTDOWN : SLUICE_ERROR_OPERATION_ABORTED;
	int32_t native = shut ? EPIPE : ECANCELED;

	sluice__settle_abort(socket, error, native, error, native);
}

static void abort_receives(struct sluice_socket *socket)
{
	bool shut = sluice__socket_flags(socket) & SLUICE__SHARED_SHUT_RECEIVE;
	int32_t error = shut ? SLUICE_ERROR_SUCCESS : SLUICE_ERROR_OPERATION_ABORTED;
	int32_t native = shut ? 0 : ECANCELED;

	sluice__receive_abort(socket, error, native);
	sluice__receiver_end(socket, error, native);
}

/* The result is that of an earlier shutdown, even if the shutdown has not been processed yet. */
static void abort_pending(struct sluice_socket *socket)
{
	sluice__connect_cancel(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
	abort_sends(socket);
	abort_receives(socket);
	sluice__accepter_end(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
}

/* With the kernel's TLS, close(2) may raise SIGPIPE. */
static void close_quietly(struct sluice_socket *socket, int fd)
{
	struct sluice_engine *engine = socket->engine;
	bool unmask;

	if (likely(!sluice__kernel_filters(socket))) {
		close(fd);
		return;
	}
	unmask = sluice__sigpipe_close_begin(engine);
	close(fd);
	sluice__sigpipe_close_end(engine, unmask);
}

static void close_descriptor(struct sluice_socket *socket)
{
	int fd = socket->fd;

	sluice__assert(socket->fd >= 0);
	sluice__assert(socket->armed == 0);
	socket->engine->backend->forget(socket->engine, socket);
	__atomic_store_n(&socket->fd, -1, __ATOMIC_RELAXED);
	close_quietly(socket, fd);
	sluice__descriptor_freed(socket->engine);
	sluice__close_release(&socket->engine->close_waits, socket);
	if (__atomic_load_n(&socket->closed, __ATOMIC_ACQUIRE))
		sluice__event(socket, SLUICE__EVENT_CLOSED);
}

/* ---- lingering until the peer has acknowledged everything ---- */

/*
 * The kernel answers data that arrives after close(2) with RST and drops what it had left to send.
 * So the descriptor stays open, and received data is discarded, until the peer has acknowledged
 * everything or has ended its side.
 */
#define LINGER_BYTES (UINT64_C(64) << 20)
#define LINGER_FIRST_POLL_NS 1000000
#define LINGER_LAST_POLL_NS 64000000

/* SIOCOUTQ: unacknowledged bytes, plus one for the FIN. */
static bool is_acknowledged(const struct sluice_socket *socket)
{
	int bytes = 0;

	return ioctl(socket->fd, SIOCOUTQ, &bytes) < 0 || bytes <= 1;
}

static bool may_linger(const struct sluice_socket *socket)
{
	return sluice__socket_is_tcp(socket) && socket->engine->options.close_linger_ns != 0 &&
	       !sluice__dead(socket->engine) &&
	       sluice__socket_phase(socket) == SLUICE__PHASE_WAIT_ZEROCOPY &&
	       !(socket->state & (SLUICE__ST_LOST | SLUICE__ST_END_SEEN | SLUICE__ST_RESET_SEEN)) &&
	       !(sluice__socket_flags(socket) & SLUICE__SHARED_UNCONNECTED) &&
	       !is_acknowledged(socket);
}

/* The kernel does not signal acknowledgements, so poll, at doubling intervals. */
static void poll_later(struct sluice_socket *socket)
{
	if (socket->lingering.poll_ns < LINGER_LAST_POLL_NS)
		socket->lingering.poll_ns *= 2;
	sluice__timer_arm(socket, SLUICE__NODE_CLOSE, socket->lingering.poll_ns);
}

static bool wait_readable(struct sluice_socket *socket)
{
	socket->in.kind = SLUICE__REQUEST_READABLE;
	socket->in.message = NULL;
	return sluice__request_start(socket, &socket->in) == 0;
}

static int64_t linger_until(int64_t linger_ns)
{
	return linger_ns < 0 ? INT64_MAX : (int64_t)sluice__now() + linger_ns;
}

static bool begin_linger(struct sluice_socket *socket)
{
	if (!wait_readable(socket))
		return false;
	change_phase(socket, 1u << SLUICE__PHASE_WAIT_ZEROCOPY, SLUICE__PHASE_LINGERING);
	socket->lingering.bytes = 0;
	socket->lingering.poll_ns = LINGER_FIRST_POLL_NS;
	socket->graceful_ns = linger_until(socket->engine->options.close_linger_ns);
	sluice__timer_arm(socket, SLUICE__NODE_CLOSE, LINGER_FIRST_POLL_NS);
	return true;
}

static bool is_linger_over(struct sluice_socket *socket)
{
	socket->lingering.bytes += sluice__socket_drain(socket);
	return (socket->state & (SLUICE__ST_END_SEEN | SLUICE__ST_RESET_SEEN)) ||
	       is_acknowledged(socket) || socket->lingering.bytes >= LINGER_BYTES ||
	       (int64_t)sluice__now() >= socket->graceful_ns || sluice__dead(socket->engine);
}

/* ---- the transitions ---- */

static void begin_close(struct sluice_socket *socket)
{
	sluice__reclaim(socket);
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	change_phase(socket, 1u << SLUICE__PHASE_OPEN, SLUICE__PHASE_CLOSING);
	sluice__timer_disarm(socket);
	if (!sluice__sendq_is_empty(&socket->queue))
		sluice__file_abandon(socket);
	sluice__request_cancel(socket, sluice__zc_send_request(socket));
	sluice__request_cancel(socket, &socket->out);
	sluice__request_cancel(socket, &socket->in);
}

/* Bytes that were reported as sent are not dropped at once, even if the socket may not linger. */
#define ENDING_NS 5000000000

static int64_t ending_until(const struct sluice_socket *socket)
{
	int64_t linger_ns = socket->engine->options.close_linger_ns;

	return linger_until(linger_ns ? linger_ns : ENDING_NS);
}

/* The kernel drops the stream's unsent data and releases the buffers. */
static void reset_connection(struct sluice_socket *socket)
{
	change_phase(socket, 1u << SLUICE__PHASE_WAIT_ZEROCOPY, SLUICE__PHASE_RESETTING);
	sluice__timer_disarm(socket);
	sluice__socket_reset(socket);
}

static void wait_for_buffers(struct sluice_socket *socket)
{
	int64_t linger_ns = socket->engine->options.zerocopy_linger_ns;

	if (linger_ns == 0)
		reset_connection(socket);
	else if (linger_ns > 0)
		sluice__timer_arm(socket, SLUICE__NODE_CLOSE, linger_ns);
}

/* Only zero-copy notifications are outstanding: ends pending operations. */
static void begin_ending(struct sluice_socket *socket)
{
	bool lost = !sluice__sendq_is_empty(&socket->queue);

	change_phase(socket, 1u << SLUICE__PHASE_CLOSING, SLUICE__PHASE_ENDING);
	sluice__transmission_abandoned(socket);
	sluice__timer_disarm(socket);
	abort_pending(socket);
	sluice__assert(sluice__sendq_is_empty(&socket->queue) && !socket->receives.head &&
		       !socket->connecting);
	if (lost)
		socket->state |= SLUICE__ST_LOST;
	if (sluice__is_filtered(socket))
		sluice__filter_of(socket)->shut_until = ending_until(socket);
}

/* Sends FIN or RST. Returns false if FIN has to wait. */
static bool advance_ending(struct sluice_socket *socket)
{
	if (!shut_connection(socket)) {
		sluice__timer_arm(socket, SLUICE__NODE_CLOSE, sluice__filter_retry_ns(socket));
		return false;
	}
	sluice__timer_disarm(socket);
	change_phase(socket, 1u << SLUICE__PHASE_ENDING, SLUICE__PHASE_WAIT_ZEROCOPY);
	if (socket->armed)
		wait_for_buffers(socket);
	return true;
}

static void finish_close(struct sluice_socket *socket)
{
	sluice__assert(socket->armed == 0 && !(socket->state & SLUICE__ST_ZC_SENDS));
	sluice__zerocopy_end(&socket->zerocopy, &socket->engine->zerocopy->prior);
	change_phase(socket,
		     1u << SLUICE__PHASE_WAIT_ZEROCOPY | 1u << SLUICE__PHASE_RESETTING |
			     1u << SLUICE__PHASE_LINGERING,
		     SLUICE__PHASE_CLOSED);
	sluice__timer_disarm(socket);
	close_descriptor(socket);
	sluice__assert(socket->fd < 0 && !sluice__wheel_is_armed(&socket->timer));
	if (socket->state & SLUICE__ST_HANDLE_GONE)
		sluice__socket_defer_free(socket);
}

/* Discards what the peer sent while the socket waited for buffers. */
static void discard_received(struct sluice_socket *socket)
{
	if (sluice__socket_is_tcp(socket) && !(socket->state & SLUICE__ST_LOST))
		sluice__socket_drain(socket);
}

/* Makes one transition if its condition holds; else returns false. */
static bool advance_phase(struct sluice_socket *socket)
{
	switch (sluice__socket_phase(socket)) {
	case SLUICE__PHASE_CLOSING:
		if (socket->armed > sluice__zc_send_waiting(socket))
			return false;
		begin_ending(socket);
		return true;
	case SLUICE__PHASE_ENDING:
		return advance_ending(socket);
	case SLUICE__PHASE_WAIT_ZEROCOPY:
	case SLUICE__PHASE_RESETTING:
		if (socket->armed || (may_linger(socket) && begin_linger(socket)))
			return false;
		finish_close(socket);
		return true;
	case SLUICE__PHASE_LINGERING:
		if (socket->armed || (!is_linger_over(socket) && wait_readable(socket)))
			return false;
		finish_close(socket);
		return true;
	default:
		return false;
	}
}

/* Called at the start of a close, after each completion, and by the timer. */
void sluice__socket_advance_close(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (sluice__socket_phase(socket) == SLUICE__PHASE_ENDING ||
	    sluice__socket_phase(socket) == SLUICE__PHASE_WAIT_ZEROCOPY)
		discard_received(socket);
	while (advance_phase(socket))
		;
	if (sluice__socket_phase(socket) > SLUICE__PHASE_CLOSING &&
	    sluice__socket_phase(socket) < SLUICE__PHASE_CLOSED)
		sluice__close_release(&socket->engine->close_waits, socket);
}

void sluice__socket_close_timer(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	switch (sluice__socket_phase(socket)) {
	case SLUICE__PHASE_OPEN: /* timeout of close_gracefully */
		sluice__socket_end(socket);
		break;
	case SLUICE__PHASE_ENDING:
		sluice__socket_advance_close(socket);
		break;
	case SLUICE__PHASE_WAIT_ZEROCOPY:
		reset_connection(socket);
		break;
	case SLUICE__PHASE_RESETTING: /* notifications that the reset did not cause never come */
		sluice__zc_send_abandon(socket);
		sluice__socket_advance_close(socket);
		break;
	case SLUICE__PHASE_LINGERING:
		if (is_linger_over(socket))
			sluice__request_cancel(socket, &socket->in);
		else
			poll_later(socket);
		break;
	default:
		break;
	}
}

/*
 * The engine ends and waits for nothing; a notification that was due arrived in the previous turn.
 * One that does not follow the reset within this time never arrives, and the bytes go nowhere.
 */
#define ABANDON_NS 1000000000

static void force_close(struct sluice_socket *socket)
{
	switch (sluice__socket_phase(socket)) {
	case SLUICE__PHASE_LINGERING:
		sluice__request_cancel(socket, &socket->in);
		return;
	case SLUICE__PHASE_ENDING:
		sluice__socket_advance_close(socket);
		return;
	case SLUICE__PHASE_WAIT_ZEROCOPY:
		reset_connection(socket);
		break;
	case SLUICE__PHASE_RESETTING:
		break;
	default:
		return;
	}
	if (!sluice__wheel_is_armed(&socket->timer))
		sluice__timer_arm(socket, SLUICE__NODE_CLOSE, ABANDON_NS);
}

void sluice__socket_end(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (!sluice__socket_is_closing(socket)) {
		begin_close(socket);
		sluice__socket_advance_close(socket);
	} else if (unlikely(sluice__dead(socket->engine))) {
		force_close(socket);
	}
}

void sluice__socket_end_gracefully(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (sluice__socket_is_closing(socket) || (socket->state & SLUICE__ST_GRACEFUL))
		return;
	sluice__reclaim(socket);
	if (sluice__sendq_is_empty(&socket->queue)) {
		sluice__socket_end(socket);
		return;
	}
	socket->state |= SLUICE__ST_GRACEFUL;
	if (socket->graceful_ns >= 0)
		socket->graceful_ns = sluice__time_after(socket->graceful_ns);
	sluice__socket_bound_graceful(socket);
}

/* A pending retry owns the timer; it checks the timeout itself. */
void sluice__socket_bound_graceful(struct sluice_socket *socket)
{
	int64_t left;

	sluice__assert_owner(socket->engine);
	if (!(socket->state & SLUICE__ST_GRACEFUL) || socket->graceful_ns < 0 ||
	    sluice__socket_is_closing(socket) || sluice__wheel_is_armed(&socket->timer))
		return;
	left = socket->graceful_ns - (int64_t)sluice__now();
	sluice__timer_arm(socket, SLUICE__NODE_CLOSE, left > 0 ? left : 0);
}

void sluice__socket_handle_gone(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	socket->state |= SLUICE__ST_HANDLE_GONE;
}

void sluice__socket_detached(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	change_phase(socket, 1u << SLUICE__PHASE_OPEN, SLUICE__PHASE_CLOSED);
	sluice__timer_disarm(socket);
	sluice__zerocopy_end(&socket->zerocopy, &socket->engine->zerocopy->prior);
	socket->engine->backend->forget(socket->engine, socket);
	socket->fd = -1;
	sluice__socket_handle_gone(socket);
	sluice__socket_defer_free(socket);
}

void sluice__socket_shut(struct sluice_socket *socket, bool receiving, bool sending)
{
	sluice__assert_owner(socket->engine);
	if (sluice__socket_is_closing(socket))
		return;
	if (receiving) {
		sluice__socket_flags_set(socket, SLUICE__SHARED_SHUT_RECEIVE);
		shutdown(socket->fd, SHUT_RD);
	}
	if (sending)
		sluice__settle_shut(socket);
}
