/* SPDX-License-Identifier: MIT */
/* The engine's lifecycle: create, adopt, start, stop, destroy. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apm/callbacks.h"
#include "backend/backend.h"
#include "backend/splice.h"
#include "base/queue.h"
#include "base/wheel.h"
#include "core/record_list.h"
#include "engine/buffers.h"
#include "engine/close_wait.h"
#include "engine/fork.h"
#include "engine/options.h"
#include "engine/owner.h"
#include "engine/packets_pool.h"
#include "engine/post.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "file/file.h"
#include "life/engine.h"
#include "loop/loop.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"
#include "trace/trace.h"

static void init_engine(struct sluice_engine *engine)
{
	engine->creator = sluice__self();
	sluice__fifo_init(&engine->ready);
	sluice__fifo_init(&engine->events);
	sluice__fifo_init(&engine->lending);
	sluice__fifo_init(&engine->dead_sockets);
	sluice__fifo_init(&engine->posts.taken);
	sluice__fifo_init(&engine->receive_pool.paused);
	sluice__chain_init(&engine->done);
	engine->now_ns = sluice__now();
	sluice__wheel_init(&engine->deadlines, engine->now_ns);
	sluice__wheel_init(&engine->timers, engine->now_ns);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_mutex_init(&engine->close_waits.lock, NULL);
	sluice__callbacks_init(engine->callbacks);
}

static void free_sockets(struct sluice_engine *engine)
{
	struct sluice_socket *socket;

	while ((socket = engine->sockets)) {
		if (socket->fd >= 0)
			close(socket->fd);
		sluice__socket_free(socket);
	}
	sluice__slabs_free(engine);
}

static void free_engine(struct sluice_engine *engine)
{
	sluice__process_forget(engine);
	sluice__thread_watches_forget(engine);
	if (engine->backend)
		engine->backend->close(engine);
	sluice__page_cache_close(engine);
	sluice__splice_close(engine);
	sluice__zc_sends_free(engine);
	free(engine->files->scratch);
	free_sockets(engine);
	sluice__buffers_close(engine);
	sluice__packets_free_pool(engine);
	sluice__gso_batches_free(engine);
	sluice__recv_msgs_free(engine);
	sluice__posts_drop(engine);
	sluice__trace_close(engine);
	sluice__callbacks_destroy(engine->callbacks);
	pthread_mutex_destroy(&engine->close_waits.lock);
	pthread_mutex_destroy(&engine->lock);
	free((char *)engine - offsetof(struct sluice__whole_engine, engine));
}

static struct sluice_engine *allocate_engine(void)
{
	struct sluice__whole_engine *whole =
		aligned_alloc(_Alignof(struct sluice__whole_engine), sizeof *whole);

	if (!whole)
		return NULL;
	_Static_assert(offsetof(struct sluice__whole_engine, prefilled) == 0, "first");
	memset((char *)whole + sizeof whole->prefilled, 0, sizeof *whole - sizeof whole->prefilled);
	whole->engine.arena.prefilled = &whole->prefilled;
	whole->engine.files = &whole->files;
	whole->engine.pipe = &whole->pipe;
	whole->engine.zerocopy = &whole->zerocopy;
	whole->engine.callbacks = &whole->callbacks;
	sluice__slices_open(&whole->engine);
	return &whole->engine;
}

int sluice__engine_make(struct sluice_engine **ret_engine, const struct sluice_options *options,
			const struct sluice__backend *backend)
{
	struct sluice_engine *engine = allocate_engine();
	int error;

	*ret_engine = NULL;
	if (!engine)
		return -ENOMEM;
	init_engine(engine);
	error = sluice__options_copy(&engine->options, options);
	if (!error) {
		engine->backend = backend;
		error = backend ? backend->open(engine) : sluice__backend_choose(engine);
		if (error)
			engine->backend = NULL;
		else
			sluice__zerocopy_limits(engine);
	}
	if (!error)
		error = sluice__trace_open(engine);
	if (!error)
		sluice__datagram_open(engine);
	if (!error)
		error = sluice__page_cache_open(engine);
	if (!error)
		error = sluice__process_register(engine);
	if (error) {
		free_engine(engine);
		return error;
	}
	*ret_engine = engine;
	return 0;
}

int sluice_engine_create(struct sluice_engine **ret_engine, const struct sluice_options *options)
{
	if (!ret_engine)
		return -EINVAL;
	return sluice__engine_make(ret_engine, options, NULL);
}

static void set_creator(struct sluice_engine *engine, uintptr_t thread)
{
	__atomic_store_n(&engine->creator, thread, __ATOMIC_RELAXED);
}

int sluice_engine_adopt(struct sluice_engine *engine)
{
	if (!engine)
		return -EINVAL;
	if (sluice__dead(engine))
		return -EBADF;
	if (__atomic_load_n(&engine->owner, __ATOMIC_ACQUIRE) || engine->started)
		return -EBUSY;
	set_creator(engine, sluice__self());
	return 0;
}

/* ---- the engine's own thread ---- */

static void *run_turns(void *token)
{
	struct sluice_engine *engine = token;
	int error;

	set_creator(engine, sluice__self());
	error = sluice__engine_enter(engine);
	/* SIGSTOP and SIGCONT interrupt the wait although all signals are blocked. */
	while (!__atomic_load_n(&engine->stopping, __ATOMIC_ACQUIRE) &&
	       (error >= 0 || error == -EINTR))
		error = sluice_engine_run(engine, -1);
	sluice__turns_end(&engine->close_waits);
	sluice__engine_end(engine);
	return NULL;
}

int sluice_engine_start(struct sluice_engine *engine)
{
	sigset_t all, before;
	int error;

	if (!engine)
		return -EINVAL;
	if (sluice__dead(engine))
		return -EBADF;
	if (__atomic_load_n(&engine->owner, __ATOMIC_ACQUIRE) || engine->started)
		return -EBUSY;
	set_creator(engine, 0);
	engine->started = true;
	sluice__turns_begin(&engine->close_waits);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&engine->thread, NULL, run_turns, engine);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		sluice__turns_end(&engine->close_waits);
		engine->started = false;
		set_creator(engine, sluice__self());
	}
	return -error;
}

/* True in a handler, or in a callback of Begin and End. */
static bool would_wait_for_itself(const struct sluice_engine *engine)
{
	return (sluice__is_owner(engine) && engine->delivering) ||
	       sluice__callbacks_is_thread(engine);
}

int sluice_engine_stop(struct sluice_engine *engine)
{
	if (!engine)
		return -EINVAL;
	if (sluice__dead(engine) & SLUICE__DEAD_FORKED)
		return -EBADF;
	if (would_wait_for_itself(engine))
		return -EDEADLK;
	if (!engine->started)
		return -EINVAL;
	__atomic_store_n(&engine->stopping, true, __ATOMIC_SEQ_CST);
	sluice_engine_wake(engine);
	pthread_join(engine->thread, NULL);
	engine->started = false;
	return 0;
}

/* ---- stopping and destroying ---- */

static bool end_all_sockets(struct sluice_engine *engine)
{
	struct sluice_socket *socket;
	bool left = false;

	pthread_mutex_lock(&engine->lock);
	socket = engine->sockets;
	pthread_mutex_unlock(&engine->lock);
	while (socket) {
		struct sluice_socket *next = socket->next;

		sluice__socket_end(socket);
		left |= sluice__socket_phase(socket) != SLUICE__PHASE_CLOSED;
		socket = next;
	}
	return left;
}

/* The kernel refuses to wait, and will refuse again. */
static bool is_wait_refused(int error)
{
	return error < 0 && error != -EINTR;
}

/* Most turns of sluice__engine_end whose wait the kernel refuses. */
#define REFUSED_MAX 100

/* Runs every record's handler and every terminal call. New starts are refused. */
void sluice__engine_end(struct sluice_engine *engine)
{
	int refused = 0;
	bool left;

	__atomic_fetch_or(&engine->dead, SLUICE__DEAD_ENDING, __ATOMIC_SEQ_CST);
	do {
		engine->busy++;
		sluice__mailbox_take(engine);
		left = end_all_sockets(engine);
		engine->busy--;
		refused += is_wait_refused(sluice__turn(
			engine, left || engine->armed_requests ? sluice__now() + 1000000 : 0));
		sluice__deliver(engine);
	} while ((left || engine->armed_requests || sluice__deliverable_records(engine)) &&
		 refused < REFUSED_MAX);
	/* A start that raced with the end is refused from here on, or its record ends here. */
	sluice__mailbox_close(engine);
	sluice__deliver(engine);
	sluice__callbacks_end(engine);
	set_creator(engine, 0);
	__atomic_store_n(&engine->owner, 0, __ATOMIC_RELEASE);
}

int sluice_engine_destroy(struct sluice_engine *engine)
{
	uint32_t dead;

	if (!engine)
		return 0;
	dead = sluice__dead(engine);
	if (dead & SLUICE__DEAD_FORKED)
		return -EBADF; /* the engine and its memory are the parent's */
	if (would_wait_for_itself(engine))
		return -EDEADLK;
	if (dead & SLUICE__DEAD_LOST) {
		sluice__callbacks_end(engine);
		free_engine(engine);
		return 0;
	}
	if (engine->started) {
		int error = sluice_engine_stop(engine);

		if (error)
			return error;
	} else if (!(dead & SLUICE__DEAD_ENDING)) {
		int owner = sluice__engine_enter(engine);

		if (owner == 0)
			return -EPERM;
		/* Negative: it could never be used, so nothing is pending. */
		if (owner > 0)
			sluice__engine_end(engine);
	}
	free_engine(engine);
	return 0;
}

const char *sluice_engine_backend(struct sluice_engine *engine)
{
	return engine ? engine->backend->name : NULL;
}

const char *sluice_engine_backend_reason(struct sluice_engine *engine)
{
	return engine ? engine->reason : NULL;
}

int sluice_engine_fd(struct sluice_engine *engine)
{
	int error = sluice__check_owner(engine);
	int fd;

	if (error)
		return error;
	fd = engine->backend->descriptor(engine);
	if (fd >= 0 && !engine->embedded) {
		engine->embedded = true;
		sluice__listen_again(engine);
	}
	return fd;
}
