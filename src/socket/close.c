/* SPDX-License-Identifier: MIT */
/*
 * How a socket ends, in numbered steps:
 *   1. close, destroy or the engine's end set CLOSED: from then on every start is refused
 *   2. on the engine's thread, what the backend has is cancelled (close(2) cancels nothing)
 *   3. when the last request is back, what is pending ends with OperationAborted
 *   4. the peer gets RST if sends were given up, else FIN
 *   5. buffers that the kernel still sends from are waited for; too long, and the connection is
 *      reset, which frees them
 *   6. the peer's acknowledgements are waited for, for a while, and what it sends is discarded
 *   7. the descriptor is closed
 *   8. once destroyed, the memory goes when the last handler has run
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/zerocopy_policy.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "file/file.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

static void say_goodbye(struct sluice_socket *socket, bool lost)
{
	uint32_t refuse = sluice__refuse(socket);

	if (!sluice__socket_is_stream(socket) ||
	    (refuse & (SLUICE__UNCONNECTED | SLUICE__CONNECTING)))
		return;
	if (lost && !(refuse & SLUICE__SHUT_SEND)) {
		if (sluice__socket_is_tcp(socket))
			sluice__socket_reset(socket);
		return;
	}
	/* Not left to close(2): a duplicate of the descriptor may live. */
	if (!(refuse & (SLUICE__SHUT_SEND | SLUICE__DISCONNECTED)))
		shutdown(socket->fd, SHUT_WR);
	/* Here nothing more arrives behind that, and data unread would be a reset all the same. */
	if (socket->family == AF_UNIX)
		shutdown(socket->fd, SHUT_RD);
	if ((sluice__socket_is_tcp(socket) || socket->family == AF_UNIX) &&
	    !(socket->state & (SLUICE__END_SEEN | SLUICE__RESET_SEEN)))
		sluice__socket_drain(socket);
}

static void abort_sends(struct sluice_socket *socket)
{
	bool shut = sluice__refuse(socket) & SLUICE__SHUT_SEND;
	int32_t error = shut ? SLUICE_ERROR_SHUTDOWN : SLUICE_ERROR_OPERATION_ABORTED;
	int32_t native = shut ? EPIPE : ECANCELED;

	sluice__settle_abort(socket, error, native, error, native);
}

static void abort_receives(struct sluice_socket *socket)
{
	bool shut = sluice__refuse(socket) & SLUICE__SHUT_RECEIVE;
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
	       !(socket->state &
		 (SLUICE__CUT | SLUICE__LOST | SLUICE__END_SEEN | SLUICE__RESET_SEEN)) &&
	       !(sluice__refuse(socket) & SLUICE__UNCONNECTED) && !is_acknowledged(socket);
}

/* Nothing tells of an acknowledgement: it is looked for, less and less often. */
static void look_later(struct sluice_socket *socket)
{
	if (socket->lingering.look_ns < LINGER_LAST_LOOK_NS)
		socket->lingering.look_ns *= 2;
	sluice__linger_arm(socket, socket->lingering.look_ns);
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
	socket->state |= SLUICE__LINGERING;
	socket->lingering.bytes = 0;
	socket->lingering.look_ns = LINGER_FIRST_LOOK_NS;
	socket->graceful_ns = linger_ns < 0 ? INT64_MAX : (int64_t)sluice__now() + linger_ns;
	sluice__linger_arm(socket, LINGER_FIRST_LOOK_NS);
	return true;
}

static bool has_lingered(struct sluice_socket *socket)
{
	socket->lingering.bytes += sluice__socket_drain(socket);
	return (socket->state & (SLUICE__END_SEEN | SLUICE__RESET_SEEN)) ||
	       is_acknowledged(socket) || socket->lingering.bytes >= LINGER_BYTES ||
	       (int64_t)sluice__now() >= socket->graceful_ns || sluice__dead(socket->engine);
}

/* Nothing that the kernel has of the stream is sent any more: it lets the buffers go. */
static void cut(struct sluice_socket *socket)
{
	socket->state |= SLUICE__CUT;
	sluice__wheel_disarm(&socket->engine->deadlines, &socket->linger);
	sluice__socket_reset(socket);
}

static void wait_for_buffers(struct sluice_socket *socket)
{
	int64_t linger_ns = socket->engine->options.zerocopy_linger_ns;

	if (linger_ns == 0)
		cut(socket);
	else if (linger_ns > 0)
		sluice__linger_arm(socket, linger_ns);
}

/* Everything but buffers is back. */
static void part(struct sluice_socket *socket)
{
	bool lost = socket->queue.list.head != NULL;

	socket->state |= SLUICE__PARTED;
	socket->state &= ~(uint32_t)(SLUICE__BLOCKED | SLUICE__IN_FLIGHT);
	sluice__wheel_disarm(&socket->engine->deadlines, &socket->linger);
	abort_pending(socket);
	if (lost)
		socket->state |= SLUICE__LOST;
	say_goodbye(socket, lost);
	if (socket->armed)
		wait_for_buffers(socket);
}

static void finish_end(struct sluice_socket *socket)
{
	sluice__zerocopy_end(&socket->zerocopy, &socket->engine->zerocopy_prior);
	socket->state |= SLUICE__ENDED;
	socket->state &= ~(uint32_t)(SLUICE__ENDING | SLUICE__LINGERING);
	sluice__wheel_disarm(&socket->engine->deadlines, &socket->linger);
	close_descriptor(socket);
	if (socket->state & SLUICE__DESTROYED)
		sluice__socket_bury(socket);
}

/* Nothing of it is with the backend. */
static void linger_or_finish(struct sluice_socket *socket)
{
	bool waits;

	sluice__assert(socket->state & SLUICE__PARTED);
	sluice__assert(!socket->queue.list.head && !socket->receives.head);
	if (socket->state & SLUICE__LINGERING)
		waits = !has_lingered(socket) && wait_for_more(socket);
	else
		waits = may_linger(socket) && begin_to_linger(socket);
	if (!waits)
		finish_end(socket);
}

void sluice__socket_settle_end(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if ((socket->state & SLUICE__ENDED) || socket->armed > sluice__hold_waiting(socket))
		return;
	if (!(socket->state & SLUICE__PARTED))
		part(socket);
	else if (sluice__socket_is_tcp(socket) &&
		 !(socket->state & (SLUICE__CUT | SLUICE__LOST | SLUICE__LINGERING)))
		sluice__socket_drain(
			socket); /* what the peer sent while its buffers were waited for */
	if (socket->armed == 0)
		linger_or_finish(socket);
	if (!(socket->state & SLUICE__ENDED))
		sluice__close_release(socket->engine, socket);
}

/*
 * The engine ends and waits for nothing; a notification that is due has come in the turn before. One
 * that does not follow the reset within this time never will, and nobody gets the bytes any more.
 */
#define ABANDON_NS 1000000000

static void hurry(struct sluice_socket *socket)
{
	if (socket->state & SLUICE__LINGERING) {
		sluice__request_cancel(socket, &socket->in);
		return;
	}
	if (!(socket->state & SLUICE__CUT))
		cut(socket);
	if (!sluice__wheel_is_armed(&socket->linger))
		sluice__linger_arm(socket, ABANDON_NS);
}

void sluice__socket_linger_over(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->state & SLUICE__LINGERING) {
		if (has_lingered(socket))
			sluice__request_cancel(socket, &socket->in);
		else
			look_later(socket);
		return;
	}
	if (!(socket->state & SLUICE__CUT)) {
		cut(socket);
		return;
	}
	sluice__hold_abandon(socket);
	sluice__socket_settle_end(socket);
}

void sluice__socket_end(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->state & (SLUICE__ENDING | SLUICE__ENDED)) {
		if (unlikely(sluice__dead(socket->engine)) && (socket->state & SLUICE__ENDING) &&
		    (socket->state & SLUICE__PARTED))
			hurry(socket);
		return;
	}
	sluice__refuse_set(socket, SLUICE__CLOSED);
	socket->state |= SLUICE__ENDING;
	if (socket->queue.list.head)
		sluice__file_abandon(socket);
	sluice__request_cancel(socket, sluice__hold_request(socket));
	sluice__request_cancel(socket, &socket->out);
	sluice__request_cancel(socket, &socket->in);
	sluice__socket_settle_end(socket);
}

void sluice__socket_end_gracefully(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->state & (SLUICE__ENDING | SLUICE__ENDED | SLUICE__GRACEFUL))
		return;
	if (!socket->queue.list.head) {
		sluice__socket_end(socket);
		return;
	}
	socket->state |= SLUICE__GRACEFUL;
	/* A datagram that is tried again and again counts the time itself. */
	if (socket->graceful_ns >= 0 && !(socket->state & SLUICE__RETRYING))
		sluice__linger_arm(socket, socket->graceful_ns);
}

void sluice__socket_shut(struct sluice_socket *socket, bool receiving, bool sending)
{
	sluice__assert_owner(socket->engine);
	if (socket->state & (SLUICE__ENDING | SLUICE__ENDED))
		return;
	if (receiving) {
		sluice__refuse_set(socket, SLUICE__SHUT_RECEIVE);
		shutdown(socket->fd, SHUT_RD);
	}
	if (sending)
		sluice__settle_shut(socket);
}
