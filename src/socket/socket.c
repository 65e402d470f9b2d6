/* SPDX-License-Identifier: MIT */
/* The handle: attach, detach, what can be asked of it, and where its memory comes from. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apm/apm.h"
#include "engine/engine.h"
#include "start/checks.h"
#include "trace/trace.h"

static int option(int fd, int name, int *ret_value)
{
	socklen_t length = sizeof *ret_value;

	return getsockopt(fd, SOL_SOCKET, name, ret_value, &length) < 0 ? -errno : 0;
}

/* What kind of socket this is, by the kernel's own word. */
static int look_at(int fd, struct sluice_socket *socket)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int type, domain, protocol, listening;
	int error = option(fd, SO_TYPE, &type);

	if (!error)
		error = option(fd, SO_DOMAIN, &domain);
	if (!error)
		error = option(fd, SO_PROTOCOL, &protocol);
	if (error)
		return error;
	socket->family = (uint8_t)domain;
	socket->type = (uint8_t)type;
	if (type != SOCK_STREAM)
		socket->refuse |= SLUICE__DATAGRAM;
	if (protocol != IPPROTO_TCP)
		socket->refuse |= SLUICE__NOT_TCP;
	if (protocol == IPPROTO_UDP && type == SOCK_DGRAM)
		socket->gso_bytes = sluice__datagram_gso(fd);
	if (option(fd, SO_ACCEPTCONN, &listening) == 0 && listening)
		socket->refuse |= SLUICE__LISTENING;
	else if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		socket->refuse |= SLUICE__UNCONNECTED;
	return 0;
}

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	flags = fcntl(fd, F_GETFD);
	if (flags < 0 || (!(flags & FD_CLOEXEC) && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0))
		return -errno;
	return 0;
}

/* Sockets come many at a time: each costs its own bytes and nothing beside them. */
#define SLAB 64

struct sluice__slab {
	struct sluice_socket sockets[SLAB];
	struct sluice__slab *next;
};

/* Under the lock. */
static void make_slab(struct sluice_engine *engine)
{
	struct sluice__slab *slab = sluice__allocate(engine, sizeof *slab);

	if (!slab)
		return;
	slab->next = engine->slabs;
	engine->slabs = slab;
	for (int i = SLAB; i-- > 0;) {
		slab->sockets[i].event_next = engine->socket_pool;
		engine->socket_pool = &slab->sockets[i];
	}
}

void sluice__slabs_free(struct sluice_engine *engine)
{
	struct sluice__slab *slab;

	while ((slab = engine->slabs)) {
		engine->slabs = slab->next;
		free(slab);
	}
}

static struct sluice_socket *take_memory(struct sluice_engine *engine)
{
	struct sluice_socket *socket;

	pthread_mutex_lock(&engine->lock);
	if (!engine->socket_pool)
		make_slab(engine);
	socket = engine->socket_pool;
	if (socket)
		engine->socket_pool = socket->event_next;
	pthread_mutex_unlock(&engine->lock);
	if (socket)
		memset(socket, 0, sizeof *socket);
	return socket;
}

static void give_memory(struct sluice_engine *engine, struct sluice_socket *socket)
{
	pthread_mutex_lock(&engine->lock);
	socket->event_next = engine->socket_pool;
	engine->socket_pool = socket;
	pthread_mutex_unlock(&engine->lock);
}

static void enlist(struct sluice_engine *engine, struct sluice_socket *socket)
{
	pthread_mutex_lock(&engine->lock);
	socket->next = engine->sockets;
	if (socket->next)
		socket->next->link = &socket->next;
	socket->link = &engine->sockets;
	engine->sockets = socket;
	engine->statistics.sockets++;
	pthread_mutex_unlock(&engine->lock);
	if (engine->trace)
		sluice__trace_socket(socket, SLUICE__TRACE_ATTACH);
}

static void initialise(struct sluice_socket *socket, struct sluice_engine *engine, int fd)
{
	socket->engine = engine;
	socket->fd = fd;
	sluice__sendq_init(&socket->queue);
	sluice__list_init(&socket->receives);
	socket->limit_bytes = engine->options.queue_limit_bytes;
	socket->high_bytes = UINT64_MAX;
	socket->attention_at = socket->limit_bytes ? socket->limit_bytes : UINT64_MAX;
	socket->refuse = engine->trace ? SLUICE__TRACED : 0;
}

int sluice__socket_make(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket)
{
	struct sluice_socket *socket = take_memory(engine);
	int error;

	if (!socket)
		return -ENOMEM;
	initialise(socket, engine, fd);
	error = look_at(fd, socket);
	if (!error)
		error = make_nonblocking(fd);
	if (error) {
		give_memory(engine, socket);
		return error;
	}
	enlist(engine, socket);
	*ret_socket = socket;
	return 0;
}

int sluice__socket_make_accepted(const struct sluice_socket *listener, int fd,
				 struct sluice_socket **ret_socket)
{
	struct sluice_engine *engine = listener->engine;
	struct sluice_socket *socket = take_memory(engine);

	if (!socket)
		return -ENOMEM;
	/* Connected, close-on-exec and non-blocking from birth; the rest is as the listener's. */
	initialise(socket, engine, fd);
	socket->family = listener->family;
	socket->type = listener->type;
	socket->refuse |= sluice__refuse(listener) & (SLUICE__DATAGRAM | SLUICE__NOT_TCP);
	enlist(engine, socket);
	engine->statistics.accepted++;
	*ret_socket = socket;
	return 0;
}

bool sluice__listens(struct sluice_socket *socket)
{
	int listening = 0;

	if (sluice__refuse(socket) & SLUICE__LISTENING)
		return true;
	if (option(socket->fd, SO_ACCEPTCONN, &listening) < 0 || !listening)
		return false;
	sluice__refuse_set(socket, SLUICE__LISTENING);
	sluice__refuse_clear(socket, SLUICE__UNCONNECTED);
	return true;
}

/* ---- the dead ---- */

void sluice__socket_bury(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	if (socket->state & SLUICE__DEAD)
		return;
	socket->state |= SLUICE__DEAD;
	socket->dead_at = engine->done.added;
	socket->dead_next = NULL;
	*engine->dead_end = socket;
	engine->dead_end = &socket->dead_next;
}

static void unlist(struct sluice_engine *engine, struct sluice_socket *socket)
{
	pthread_mutex_lock(&engine->lock);
	*socket->link = socket->next;
	if (socket->next)
		socket->next->link = socket->link;
	engine->statistics.sockets--;
	pthread_mutex_unlock(&engine->lock);
}

void sluice__socket_free(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	sluice__accepter_free(socket);
	sluice__receiver_free(socket);
	sluice__apm_free(socket);
	free(__atomic_exchange_n(&socket->closed, NULL, __ATOMIC_ACQUIRE));
	free(socket->marks);
	unlist(engine, socket);
	give_memory(engine, socket);
}

/* Nothing may lead to it any more: no record to deliver, no list. */
static bool is_gone(const struct sluice_engine *engine, const struct sluice_socket *socket)
{
	return engine->done.taken >= socket->dead_at && !socket->events && socket->armed == 0 &&
	       !socket->receiver && !socket->accepter && !(socket->state & SLUICE__READY) &&
	       !__atomic_load_n(&socket->attention, __ATOMIC_RELAXED) &&
	       sluice__apm_is_quiet(socket);
}

void sluice__sockets_free_dead(struct sluice_engine *engine)
{
	struct sluice_socket **at = &engine->dead_sockets;
	struct sluice_socket *socket;

	while ((socket = *at)) {
		if (!is_gone(engine, socket)) {
			at = &socket->dead_next;
			continue;
		}
		*at = socket->dead_next;
		sluice__socket_free(socket);
	}
	engine->dead_end = at;
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

static bool is_idle(const struct sluice_socket *socket)
{
	return !socket->queue.list.head && !socket->receives.head && !socket->connecting &&
	       !socket->receiver && !socket->accepter && socket->armed == 0 &&
	       !__atomic_load_n(&socket->attention, __ATOMIC_RELAXED) &&
	       sluice__apm_is_quiet(socket);
}

int sluice_socket_detach(struct sluice_socket *socket)
{
	struct sluice_engine *engine;
	int fd, owner;

	if (!socket)
		return -EINVAL;
	engine = socket->engine;
	if (sluice__dead(engine) || (sluice__refuse(socket) & SLUICE__CLOSED))
		return -EBADF;
	owner = sluice__engine_enter(engine);
	if (owner <= 0)
		return owner ? owner : -EPERM;
	if (sluice__left_outside(engine)) {
		sluice__mailbox_take(engine);
		sluice__attention_take(engine);
	}
	if (!is_idle(socket))
		return -EBUSY;
	sluice__refuse_set(socket, SLUICE__CLOSED);
	sluice__wheel_disarm(&engine->deadlines, &socket->linger);
	sluice__zerocopy_end(&socket->zerocopy, &engine->zerocopy_prior);
	engine->backend->forget(engine, socket);
	fd = socket->fd;
	socket->fd = -1;
	socket->state |= SLUICE__ENDED | SLUICE__DESTROYED;
	sluice__socket_bury(socket);
	return fd;
}

int sluice_socket_fd(struct sluice_socket *socket)
{
	if (!socket)
		return -EINVAL;
	if (sluice__dead(socket->engine) || (sluice__refuse(socket) & SLUICE__CLOSED))
		return -EBADF;
	return socket->fd;
}

size_t sluice_socket_queued_bytes(struct sluice_socket *socket)
{
	if (!socket)
		return 0;
	return __atomic_load_n(&socket->queue.bytes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&socket->foreign_bytes, __ATOMIC_RELAXED);
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

static struct sluice__marks *marks_of(struct sluice_socket *socket)
{
	if (socket && !socket->marks)
		socket->marks = sluice__allocate(socket->engine, sizeof *socket->marks);
	return socket ? socket->marks : NULL;
}

int sluice_socket_set_drained(struct sluice_socket *socket, sluice_drained_fn *drained, void *token)
{
	struct sluice__marks *marks = marks_of(socket);

	if (!marks)
		return socket ? -ENOMEM : -EINVAL;
	marks->drained = drained;
	marks->drained_token = token;
	return 0;
}

int sluice_socket_set_congested(struct sluice_socket *socket, sluice_congested_fn *congested,
				void *token)
{
	struct sluice__marks *marks = marks_of(socket);

	if (!marks)
		return socket ? -ENOMEM : -EINVAL;
	marks->congested = congested;
	marks->congested_token = token;
	return 0;
}

int sluice_socket_set_closed(struct sluice_socket *socket, sluice_closed_fn *closed, void *token)
{
	struct sluice__closed *fresh = NULL;

	if (!socket)
		return -EINVAL;
	if (sluice__dead(socket->engine) || (sluice__refuse(socket) & SLUICE__CLOSED))
		return -EBADF;
	if (closed) {
		fresh = malloc(sizeof *fresh);
		if (!fresh)
			return -ENOMEM;
		fresh->function = closed;
		fresh->token = token;
	}
	free(__atomic_exchange_n(&socket->closed, fresh, __ATOMIC_ACQ_REL));
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
	socket->attention_at = high_bytes;
	if (limit_bytes && limit_bytes < high_bytes)
		socket->attention_at = limit_bytes;
	return 0;
}

int sluice_socket_set_option(struct sluice_socket *socket, int name, int64_t value)
{
	if (!socket || name != SLUICE_SOCKET_END_ON_GIVE_UP)
		return -EINVAL;
	if (value)
		socket->state |= SLUICE__END_ON_GIVE_UP;
	else
		socket->state &= ~(uint32_t)SLUICE__END_ON_GIVE_UP;
	return 0;
}
