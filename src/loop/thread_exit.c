/* SPDX-License-Identifier: MIT */
/*
 * cancel_on_thread_exit: the exit of a thread cancels the operations it has started. A thread that
 * starts an operation on such an engine gets a number, which is stored in each of its records, and
 * a watch with a preallocated post, so that the exit allocates nothing. On exit the post is pushed
 * to the engine, which finds and cancels the records. The engine's own thread needs no watch: its
 * exit ends the engine.
 */

#include <errno.h>
#include <stdlib.h>

#include "engine/fork.h"
#include "engine/post.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "socket/socket.h"

struct sluice__thread_watch {
	struct sluice__thread_watch *next; /* in the list of the thread */
	struct sluice__thread_watch *next_of_engine;
	struct sluice__thread_watch **link_of_engine;
	struct sluice_engine *engine; /* atomic; NULL: destroyed */
	struct sluice__post *post;
	uint32_t number;
};

static pthread_key_t watches_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_error;
static uint32_t numbers; /* atomic */

/* On the engine's thread. */
static void cancel_records_of_thread(struct sluice_engine *engine, void *token)
{
	struct sluice_socket *socket;

	sluice__mailbox_take(engine);
	pthread_mutex_lock(&engine->lock);
	socket = engine->sockets;
	pthread_mutex_unlock(&engine->lock);
	for (; socket; socket = socket->next)
		sluice__cancel_of_thread(socket, (uint32_t)(uintptr_t)token);
}

/* Under the lock of the process. */
static void thread_watch_unlink(struct sluice__thread_watch *watch)
{
	*watch->link_of_engine = watch->next_of_engine;
	if (watch->next_of_engine)
		watch->next_of_engine->link_of_engine = watch->link_of_engine;
	__atomic_store_n(&watch->engine, NULL, __ATOMIC_RELEASE);
}

static void thread_watch_link(struct sluice__thread_watch *watch, struct sluice_engine *engine)
{
	watch->next_of_engine = engine->thread_watches;
	if (watch->next_of_engine)
		watch->next_of_engine->link_of_engine = &watch->next_of_engine;
	watch->link_of_engine = &engine->thread_watches;
	engine->thread_watches = watch;
	__atomic_store_n(&watch->engine, engine, __ATOMIC_RELEASE);
}

static void thread_exited(void *token)
{
	struct sluice__thread_watch *watch = token;

	sluice__process_lock();
	while (watch) {
		struct sluice__thread_watch *next = watch->next;
		struct sluice_engine *engine = watch->engine;

		if (engine) {
			thread_watch_unlink(watch);
			sluice__post_push(engine, watch->post);
		} else {
			free(watch->post);
		}
		free(watch);
		watch = next;
	}
	sluice__process_unlock();
}

static void create_watches_key(void)
{
	once_error = pthread_key_create(&watches_key, thread_exited);
}

/* The watch for this engine; with NULL, a watch of a destroyed engine, for reuse. */
static struct sluice__thread_watch *thread_watch_find(struct sluice__thread_watch *watch,
						      const struct sluice_engine *engine)
{
	while (watch && __atomic_load_n(&watch->engine, __ATOMIC_ACQUIRE) != engine)
		watch = watch->next;
	return watch;
}

static struct sluice__thread_watch *thread_watch_create(void)
{
	struct sluice__thread_watch *first = pthread_getspecific(watches_key);
	struct sluice__thread_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
	watch->post = sluice__post_make(cancel_records_of_thread, (void *)(uintptr_t)watch->number);
	watch->next = first;
	if (!watch->post || pthread_setspecific(watches_key, watch) != 0) {
		free(watch->post);
		free(watch);
		return NULL;
	}
	return watch;
}

int sluice__thread_watch_record(struct sluice_engine *engine, struct sluice_args *args)
{
	struct sluice__thread_watch *first, *watch;

	pthread_once(&once, create_watches_key);
	if (once_error)
		return -once_error;
	first = pthread_getspecific(watches_key);
	watch = thread_watch_find(first, engine);
	if (!watch) {
		watch = thread_watch_find(first, NULL);
		if (!watch)
			watch = thread_watch_create();
		if (!watch)
			return -ENOMEM;
		sluice__process_lock();
		thread_watch_link(watch, engine);
		sluice__process_unlock();
	}
	args->rare.thread = watch->number;
	return SLUICE__OP_OF_THREAD;
}

void sluice__thread_watches_forget(struct sluice_engine *engine)
{
	sluice__process_lock();
	while (engine->thread_watches)
		thread_watch_unlink(engine->thread_watches);
	sluice__process_unlock();
}
