/* SPDX-License-Identifier: MIT */
/*
 * Calls without a record: close, shutdown, cancel, accept_start and receive_start. Each posts
 * intents of the socket (loop/intents.c). On the engine's thread they are executed immediately,
 * from other threads in its next turn.
 */
#include <errno.h>
#include <sluice/operations.h>
#include <sys/socket.h>

#include "base/queue.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/buffers.h"
#include "engine/close_wait.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

static void request_intents(struct sluice_socket *socket, uint32_t wants)
{
	struct sluice_engine *engine = socket->engine;

	sluice__intents_post(socket, wants);
	/* Before the first use nothing is submitted, so the ring could run out of entries. */
	if ((wants & (SLUICE__WANT_ACCEPT | SLUICE__WANT_RECEIVE)) && !sluice__is_owner(engine))
		return;
	if (sluice__may_act(engine) && !sluice__dead(engine)) {
		sluice__mailbox_take(engine);
		sluice__intents_take(engine);
		sluice__listen_if_idle(engine);
	}
}

static int check_open(const struct sluice_socket *socket)
{
	if (!socket)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	return 0;
}

/* ---- close ---- */

/* Not for a connected stream: it shares its port, or leaves it in TIME-WAIT. */
static bool frees_port(const struct sluice_socket *socket)
{
	return sluice__socket_flags(socket) &
	       (SLUICE__SHARED_LISTENING | SLUICE__SHARED_DATAGRAM | SLUICE__SHARED_UNCONNECTED);
}

static void request_close(struct sluice_socket *socket, uint32_t wants)
{
	struct sluice_engine *engine = socket->engine;

	if (!frees_port(socket) || sluice__may_act(engine) ||
	    !__atomic_load_n(&engine->close_waits.in_turn, __ATOMIC_RELAXED))
		request_intents(socket, wants);
	else
		sluice__close_wait(socket, wants);
}

int sluice_socket_close(struct sluice_socket *socket)
{
	if (!socket)
		return -EINVAL;
	if (sluice__dead(socket->engine))
		return 0;
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	request_close(socket, SLUICE__WANT_CLOSE);
	return 0;
}

void sluice_socket_destroy(struct sluice_socket *socket)
{
	if (!socket || (sluice__dead(socket->engine) & ~(uint32_t)SLUICE__DEAD_ENDING))
		return;
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	request_close(socket, SLUICE__WANT_DESTROY);
}

int sluice_socket_close_gracefully(struct sluice_socket *socket, int64_t timeout_ns)
{
	int error = check_open(socket);

	if (error)
		return error;
	socket->graceful_ns = timeout_ns;
	sluice__socket_flags_set(socket, SLUICE__SHARED_CLOSED);
	request_intents(socket, SLUICE__WANT_GRACEFUL);
	return 0;
}

int sluice_socket_shutdown(struct sluice_socket *socket, int how)
{
	int error = check_open(socket);
	uint32_t wants = 0;

	if (error)
		return error;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if ((sluice__socket_flags(socket) &
	     (SLUICE__SHARED_LISTENING | SLUICE__SHARED_CONNECTING)) ||
	    !sluice__has_peer(socket))
		return -ENOTCONN;
	if (how != SHUT_WR) {
		wants |= SLUICE__WANT_SHUT_RECEIVE;
		sluice__socket_flags_set(socket, SLUICE__SHARED_SHUT_RECEIVE);
	}
	if (how != SHUT_RD) {
		wants |= SLUICE__WANT_SHUT_SEND;
		sluice__socket_flags_set(socket, SLUICE__SHARED_SHUT_SEND);
	}
	request_intents(socket, wants);
	return 0;
}

static bool is_idle(const struct sluice_socket *socket)
{
	return sluice__sendq_is_empty(&socket->queue) && !socket->receives.head &&
	       !socket->connecting && !socket->receiver && !socket->accepter &&
	       socket->armed == 0 && !__atomic_load_n(&socket->intents, __ATOMIC_RELAXED) &&
	       sluice__socket_apm_is_quiet(socket);
}

int sluice_socket_detach(struct sluice_socket *socket)
{
	struct sluice_engine *engine;
	int fd, owner;

	if (!socket)
		return -EINVAL;
	engine = socket->engine;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	owner = sluice__engine_enter(engine);
	if (owner <= 0)
		return owner ? owner : -EPERM;
	if (sluice__inbox_has_starts(&engine->inbox)) {
		sluice__mailbox_take(engine);
		sluice__intents_take(engine);
		sluice__listen_if_idle(engine);
	}
	sluice__reclaim(socket);
	if (!is_idle(socket))
		return -EBUSY;
	fd = socket->fd;
	sluice__socket_detached(socket);
	return fd;
}

/* ---- cancel ---- */

int sluice_cancel(struct sluice_socket *socket, struct sluice_args *args)
{
	uintptr_t expected = (uintptr_t)socket | SLUICE__IN_PROGRESS;

	if (!socket || !args)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	if (!__atomic_compare_exchange_n(&args->run.owner, &expected, expected | SLUICE__CANCELLED,
					 false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
	    expected != ((uintptr_t)socket | SLUICE__IN_PROGRESS | SLUICE__CANCELLED))
		return -ENOENT;
	/* From here on the record may end at any time, so the intent refers to the socket. */
	request_intents(socket, SLUICE__WANT_CANCEL);
	return 0;
}

int sluice_socket_cancel_all(struct sluice_socket *socket)
{
	int error = check_open(socket);

	if (!error)
		request_intents(socket, SLUICE__WANT_CANCEL_ALL);
	return error;
}

/* ---- accept_start and receive_start ---- */

int sluice_accept_start(struct sluice_socket *listener, const struct sluice_accept_options *options)
{
	int error;

	if (!listener || !options || options->size < sizeof *options || !options->on_accepted)
		return -EINVAL;
	if (sluice__socket_is_closed(listener))
		return -EBADF;
	if (!sluice__listens(listener))
		return -EINVAL;
	if (sluice__receives_pending(listener))
		return -EBUSY;
	error = sluice__accepter_install(listener, options);
	if (error)
		return error;
	request_intents(listener, SLUICE__WANT_ACCEPT);
	return 0;
}

int sluice_accept_stop(struct sluice_socket *listener)
{
	int error = check_open(listener);

	if (error)
		return error;
	if (!__atomic_load_n(&listener->accepter, __ATOMIC_ACQUIRE))
		return -ENOENT;
	request_intents(listener, SLUICE__WANT_ACCEPT_STOP);
	return 0;
}

static int check_stream(struct sluice_socket *socket)
{
	uint32_t shared = sluice__socket_flags(socket);

	if (shared & SLUICE__SHARED_DATAGRAM)
		return -EOPNOTSUPP;
	if (shared & SLUICE__SHARED_LISTENING)
		return -ENOTCONN;
	if (shared &
	    (SLUICE__SHARED_CONNECTING | SLUICE__SHARED_DISCONNECTED | SLUICE__SHARED_SHUT_SEND))
		return 0;
	return sluice__has_peer(socket) ? 0 : -ENOTCONN;
}

int sluice_receive_start(struct sluice_socket *socket, const struct sluice_receive_options *options)
{
	int error;

	if (!socket || !options || options->size < sizeof *options || !options->on_received)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	error = check_stream(socket);
	if (error)
		return error;
	if (sluice__receives_pending(socket))
		return -EBUSY;
	error = sluice__receiver_install(socket, options);
	if (error)
		return error;
	request_intents(socket, SLUICE__WANT_RECEIVE);
	return 0;
}

int sluice_receive_stop(struct sluice_socket *socket)
{
	int error = check_open(socket);

	if (error)
		return error;
	if (!__atomic_load_n(&socket->receiver, __ATOMIC_ACQUIRE))
		return -ENOENT;
	request_intents(socket, SLUICE__WANT_RECEIVE_STOP);
	return 0;
}

void sluice_buffer_release(struct sluice_engine *engine, struct sluice_buffer *buffer)
{
	if (!engine || !buffer)
		return;
	if (sluice__is_owner(engine)) {
		sluice__buffer_put(engine, buffer);
		sluice__listen_if_idle(engine);
		return;
	}
	sluice__stack_push(&engine->receive_pool.returned, &buffer->link);
	sluice__engine_wake_if_asleep(engine);
}
