/* SPDX-License-Identifier: MIT */
/*
 * How a socket closes. All transitions between its phases are here:
 *
 *   OPEN            --close, destroy, the end of the engine-->            CLOSING
 *   CLOSING         --every request is back but notifications-->          WAIT_ZEROCOPY
 *   WAIT_ZEROCOPY   --zerocopy_linger_ns is over-->                       RESETTING
 *   WAIT_ZEROCOPY   --every buffer is back, not all acknowledged-->       LINGERING
 *   WAIT_ZEROCOPY, RESETTING   --every buffer is back-->                  CLOSED
 *   LINGERING       --all is acknowledged, or close_linger_ns is over-->  CLOSED
 *   OPEN            --detach-->                                           CLOSED
 *
 * CLOSING: requests are cancelled, since close(2) cancels nothing. When they are back, what is pending
 * ends with OperationAborted, and the peer gets FIN, or RST if sends were given up. RESETTING: the
 * connection is reset, so that the kernel lets its buffers go. LINGERING: the descriptor stays open
 * until the peer has acknowledged everything. CLOSED: the descriptor is gone. The handle may be given
 * up (HANDLE_GONE) in any phase; then the memory goes when the last handler has run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "core/zerocopy_policy.h"
#include "engine/socket.h"
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

static void say_goodbye(struct sluice_socket *socket, bool lost)
{
	uint32_t shared = sluice__socket_flags(socket);

	if (!sluice__socket_is_stream(socket) ||
	    (shared & (SLUICE__SHARED_UNCONNECTED | SLUICE__SHARED_CONNECTING)))
		return;
	if (lost && !(shared & SLUICE__SHARED_SHUT_SEND)) {
		if (sluice__socket_is_tcp(socket))
			sluice__socket_reset(socket);
		return;
	}
	if ((shared & SLUICE__SHARED_FILTERED) &&
	    !(shared & (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED)))
		sluice__filter_goodbye(socket);
	/* Not left to close(2): a duplicate of the descriptor may live. */
	if (!(shared & (SLUICE__SHARED_SHUT_SEND | SLUICE__SHARED_DISCONNECTED)))
		shutdown(socket->fd, SHUT_WR);
	/* Here nothing more arrives behind that, and data unread would be a reset all the same. */
	if (socket->family == AF_UNIX)
		shutdown(socket->fd, SHUT_RD);
	if ((sluice__socket_is_tcp(socket) || socket->family == AF_UNIX) &&
	    !(socket->state & (SLUICE__ST_END_SEEN | SLUICE__ST_RESET_SEEN)))
		sluice__socket_drain(socket);
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

/* A shutdown before the close decides the result, although its answer has not come yet. */
static void abort_pending(struct sluice_socket *socket)
{
	sluice__connect_give_up(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
	abort_sends(socket);
	abort_receives(socket);
	sluice__accepter_end(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED);
}

static void close_descriptor(struct sluice_socket *socket)
{
	int fd = socket->fd;

	sluice__assert(socket->fd >= 0);
	sluice__assert(socket->armed == 0);
	socket->engine->backend->forget(socket->engine, socket);
	__atomic_store_n(&socket->fd, -1, __ATOMIC_RELAXED);
	close(fd);
	sluice__descriptor_freed(socket->engine);
	sluice__close_release(socket->engine, socket);
	if (__atomic_load_n(&socket->closed, __ATOMIC_ACQUIRE))
		sluice__event(socket, SLUICE__EVENT_CLOSED);
}

/* ---- lingering: the peer has not acknowledged everything ---- */

/*
 * Data that arrives behind a close(2) is answered with RST, and the kernel drops what it still had to
 * send. So the descriptor stays open, and what arrives is discarded, until the peer has acknowledged
 * everything or has ended itself.
 */
#define LINGER_BYTES (UINT64_C(64) << 20)
#define LINGER_FIRST_LOOK_NS 1000000
#define LINGER_LAST_LOOK_NS 64000000

/* Bytes on their way to the peer, and the FIN behind them. */
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

/* Nothing tells of an acknowledgement: it is looked for, less and less often. */
static void look_later(struct sluice_socket *socket)
{
	if (socket->lingering.look_ns < LINGER_LAST_LOOK_NS)
		socket->lingering.look_ns *= 2;
	sluice__timer_arm(socket, SLUICE__NODE_CLOSE, socket->lingering.look_ns);
}

static bool wait_for_more(struct sluice_socket *socket)
{
	socket->in.kind = SLUICE__REQUEST_READABLE;
	socket->in.message = NULL;
	return sluice__request_start(socket, &socket->in) == 0;
}

static bool begin_to_linger(struct sluice_socket *socket)
{
	int64_t linger_ns = socket->engine->options.close_linger_ns;

	if (!wait_for_more(socket))
		return false;
	change_phase(socket, 1u << SLUICE__PHASE_WAIT_ZEROCOPY, SLUICE__PHASE_LINGERING);
	socket->lingering.bytes = 0;
	socket->lingering.look_ns = LINGER_FIRST_LOOK_NS;
	socket->graceful_ns = linger_ns < 0 ? INT64_MAX : (int64_t)sluice__now() + linger_ns;
	sluice__timer_arm(socket, SLUICE__NODE_CLOSE, LINGER_FIRST_LOOK_NS);
	return true;
}

static bool has_lingered(struct sluice_socket *socket)
{
	socket->lingering.bytes += sluice__socket_drain(socket);
	return (socket->state & (SLUICE__ST_END_SEEN | SLUICE__ST_RESET_SEEN)) ||
	       is_acknowledged(socket) || socket->lingering.bytes >= LINGER_BYTES ||
	       (int64_t)sluice__now() >= socket->graceful_ns || sluice__dead(socket->engine);
}

/* ---- from phase to phase ---- */

static void begin_to_close(struct sluice_socket *socket)
{
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	change_phase(socket, 1u << SLUICE__PHASE_OPEN, SLUICE__PHASE_CLOSING);
	sluice__timer_disarm(socket);
	if (socket->queue.list.head)
		sluice__file_abandon(socket);
	sluice__request_cancel(socket, sluice__zc_send_request(socket));
	sluice__request_cancel(socket, &socket->out);
	sluice__request_cancel(socket, &socket->in);
}

/* Nothing that the kernel has of the stream is sent any more: it lets the buffers go. */
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

/* Everything but buffers is back: what is pending ends, and the peer learns of the end. */
static void end_pending(struct sluice_socket *socket)
{
	bool lost = socket->queue.list.head != NULL;

	change_phase(socket, 1u << SLUICE__PHASE_CLOSING, SLUICE__PHASE_WAIT_ZEROCOPY);
	socket->state &= ~(uint32_t)(SLUICE__ST_BLOCKED | SLUICE__ST_IN_FLIGHT);
	sluice__timer_disarm(socket);
	abort_pending(socket);
	sluice__assert(!socket->queue.list.head && !socket->receives.head && !socket->connecting);
	if (lost)
		socket->state |= SLUICE__ST_LOST;
	say_goodbye(socket, lost);
	if (socket->armed)
		wait_for_buffers(socket);
}

static void finish_close(struct sluice_socket *socket)
{
	sluice__assert(socket->armed == 0 && !(socket->state & SLUICE__ST_ZC_SENDS));
	sluice__zerocopy_end(&socket->zerocopy, &socket->engine->zerocopy_prior);
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

/* What the peer sent while its buffers were waited for. */
static void drain_meanwhile(struct sluice_socket *socket)
{
	if (sluice__socket_is_tcp(socket) && !(socket->state & SLUICE__ST_LOST))
		sluice__socket_drain(socket);
}

/* One step, if what the phase waits for has come. False: it has not. */
static bool advance(struct sluice_socket *socket)
{
	switch (sluice__socket_phase(socket)) {
	case SLUICE__PHASE_CLOSING:
		if (socket->armed > sluice__zc_send_waiting(socket))
			return false;
		end_pending(socket);
		return true;
	case SLUICE__PHASE_WAIT_ZEROCOPY:
	case SLUICE__PHASE_RESETTING:
		if (socket->armed || (may_linger(socket) && begin_to_linger(socket)))
			return false;
		finish_close(socket);
		return true;
	case SLUICE__PHASE_LINGERING:
		if (socket->armed || (!has_lingered(socket) && wait_for_more(socket)))
			return false;
		finish_close(socket);
		return true;
	default:
		return false;
	}
}

/* After a completion, from the timer, and at the beginning. */
void sluice__socket_advance_close(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (sluice__socket_phase(socket) == SLUICE__PHASE_WAIT_ZEROCOPY)
		drain_meanwhile(socket);
	while (advance(socket))
		;
	if (sluice__socket_phase(socket) > SLUICE__PHASE_CLOSING &&
	    sluice__socket_phase(socket) < SLUICE__PHASE_CLOSED)
		sluice__close_release(socket->engine, socket);
}

void sluice__socket_close_timer(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	switch (sluice__socket_phase(socket)) {
	case SLUICE__PHASE_OPEN: /* the bound of close_gracefully */
		sluice__socket_end(socket);
		break;
	case SLUICE__PHASE_WAIT_ZEROCOPY:
		reset_connection(socket);
		break;
	case SLUICE__PHASE_RESETTING: /* answers that the reset did not bring never come */
		sluice__zc_send_abandon(socket);
		sluice__socket_advance_close(socket);
		break;
	case SLUICE__PHASE_LINGERING:
		if (has_lingered(socket))
			sluice__request_cancel(socket, &socket->in);
		else
			look_later(socket);
		break;
	default:
		break;
	}
}

/*
 * The engine ends and waits for nothing; a notification that is due has come in the turn before. One
 * that does not follow the reset within this time never will, and nobody gets the bytes any more.
 */
#define ABANDON_NS 1000000000

static void force_close(struct sluice_socket *socket)
{
	switch (sluice__socket_phase(socket)) {
	case SLUICE__PHASE_LINGERING:
		sluice__request_cancel(socket, &socket->in);
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
		begin_to_close(socket);
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
	if (!socket->queue.list.head) {
		sluice__socket_end(socket);
		return;
	}
	socket->state |= SLUICE__ST_GRACEFUL;
	if (socket->graceful_ns >= 0)
		socket->graceful_ns = sluice__time_after(socket->graceful_ns);
	sluice__socket_bound_graceful(socket);
}

/* A retry that waits has the timer; it looks at the bound itself. */
void sluice__socket_bound_graceful(struct sluice_socket *socket)
{
	int64_t left;

	if (!(socket->state & SLUICE__ST_GRACEFUL) || socket->graceful_ns < 0 ||
	    sluice__socket_is_closing(socket) || sluice__wheel_is_armed(&socket->timer))
		return;
	left = socket->graceful_ns - (int64_t)sluice__now();
	sluice__timer_arm(socket, SLUICE__NODE_CLOSE, left > 0 ? left : 0);
}

void sluice__socket_detached(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	change_phase(socket, 1u << SLUICE__PHASE_OPEN, SLUICE__PHASE_CLOSED);
	sluice__timer_disarm(socket);
	sluice__zerocopy_end(&socket->zerocopy, &socket->engine->zerocopy_prior);
	socket->engine->backend->forget(socket->engine, socket);
	socket->fd = -1;
	socket->state |= SLUICE__ST_HANDLE_GONE;
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
