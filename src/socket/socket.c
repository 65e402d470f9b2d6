/* SPDX-License-Identifier: MIT */
/* The socket handle: attach, getters, options, and freeing its memory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/queue.h"
#include "engine/apm_calls.h"
#include "engine/marks.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "filter/filter.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

/* ---- freeing ---- */

void sluice__socket_defer_free(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	sluice__assert(socket->fd < 0);
	if (socket->state & SLUICE__ST_DEAD)
		return;
	/* The lists of those that may be lent and of the dead share a link. */
	if (socket->brought)
		sluice__lend_all(engine);
	socket->state |= SLUICE__ST_DEAD;
	socket->dead_at = engine->done.added;
	sluice__fifo_push(&engine->dead_sockets, &socket->dead_link);
}

void sluice__socket_free(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__accepter_free(socket);
	sluice__receiver_free(socket);
	if (socket->apm)
		engine->apm_calls->free_socket(socket);
	free(__atomic_exchange_n(&socket->closed, NULL, __ATOMIC_ACQUIRE));
	sluice__filter_free(socket);
	free(socket->marks);
	sluice__socket_give(socket);
}

bool sluice__socket_apm_is_quiet(const struct sluice_socket *socket)
{
	return !__atomic_load_n(&socket->apm, __ATOMIC_ACQUIRE) ||
	       socket->engine->apm_calls->is_quiet(socket);
}

/* True if nothing refers to the socket any more: no undelivered record, no list. */
static bool is_unreferenced(const struct sluice_engine *engine, const struct sluice_socket *socket)
{
	return engine->done.taken >= socket->dead_at && !socket->events && socket->armed == 0 &&
	       !socket->receiver && !socket->accepter && !(socket->state & SLUICE__ST_READY) &&
	       !__atomic_load_n(&socket->intents, __ATOMIC_RELAXED) &&
	       sluice__socket_apm_is_quiet(socket);
}

void sluice__sockets_free_dead(struct sluice_engine *engine)
{
	struct sluice__link **at = &engine->dead_sockets.first;

	sluice__assert_owner(engine);
	while (*at) {
		struct sluice_socket *socket =
			sluice__element(*at, struct sluice_socket, dead_link);

		if (!is_unreferenced(engine, socket)) {
			at = &socket->dead_link.next;
			continue;
		}
		sluice__fifo_remove_at(&engine->dead_sockets, at);
		sluice__socket_free(socket);
	}
}

/* ---- the public calls ---- */

int sluice_socket_attach(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket)
{
	if (!engine || !ret_socket)
		return -EINVAL;
	*ret_socket = NULL;
	if (sluice__dead(engine))
		return -EBADF;
	return sluice__socket_make(engine, fd, ret_socket);
}

int sluice_socket_fd(struct sluice_socket *socket)
{
	if (!socket)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	return socket->fd;
}

size_t sluice_socket_queued_bytes(struct sluice_socket *socket)
{
	if (!socket)
		return 0;
	return __atomic_load_n(&socket->queue.bytes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&socket->cross_thread_bytes, __ATOMIC_RELAXED);
}

void sluice_socket_set_user_data(struct sluice_socket *socket, void *data)
{
	if (socket)
		socket->user_data = data;
}

void *sluice_socket_user_data(const struct sluice_socket *socket)
{
	return socket ? socket->user_data : NULL;
}

struct sluice_engine *sluice_socket_engine(const struct sluice_socket *socket)
{
	return socket ? socket->engine : NULL;
}

struct sluice__marks *sluice__marks_of(struct sluice_socket *socket)
{
	if (socket && !socket->marks)
		socket->marks = sluice__allocate(socket->engine, sizeof *socket->marks);
	return socket ? socket->marks : NULL;
}

int sluice_socket_set_drained(struct sluice_socket *socket, sluice_drained_fn *drained, void *token)
{
	struct sluice__marks *marks = sluice__marks_of(socket);

	if (!marks)
		return socket ? -ENOMEM : -EINVAL;
	marks->drained = drained;
	marks->drained_token = token;
	return 0;
}

int sluice_socket_set_congested(struct sluice_socket *socket, sluice_congested_fn *congested,
				void *token)
{
	struct sluice__marks *marks = sluice__marks_of(socket);

	if (!marks)
		return socket ? -ENOMEM : -EINVAL;
	marks->congested = congested;
	marks->congested_token = token;
	return 0;
}

int sluice_socket_set_closed(struct sluice_socket *socket, sluice_closed_fn *closed, void *token)
{
	struct sluice__closed *handler = NULL;

	if (!socket)
		return -EINVAL;
	if (sluice__socket_is_closed(socket))
		return -EBADF;
	if (closed) {
		handler = malloc(sizeof *handler);
		if (!handler)
			return -ENOMEM;
		handler->function = closed;
		handler->token = token;
	}
	free(__atomic_exchange_n(&socket->closed, handler, __ATOMIC_ACQ_REL));
	return 0;
}

int sluice_socket_set_water_marks(struct sluice_socket *socket, size_t low_bytes, size_t high_bytes,
				  size_t limit_bytes)
{
	if (!socket || low_bytes > high_bytes)
		return -EINVAL;
	socket->low_bytes = low_bytes;
	socket->high_bytes = high_bytes;
	socket->limit_bytes = limit_bytes;
	socket->check_above = high_bytes;
	if (limit_bytes && limit_bytes < high_bytes)
		socket->check_above = limit_bytes;
	/* What is queued already may have been started before the marks were set. */
	if (socket->queue.bytes > high_bytes)
		sluice__marks_rise(socket);
	return 0;
}
