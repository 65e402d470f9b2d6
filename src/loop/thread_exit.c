/* SPDX-License-Identifier: MIT */
/*
 * What a thread has started ends with it, on engines whose options say so. A thread that starts
 * something there gets a number, which each of its records carries, and a watch with a post that is
 * made at once, so that its exit needs no memory: the exit hands the post to the engine, which looks
 * for the records. The engine's own thread needs no watch: without it there is no engine.
 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "socket/socket.h"

struct sluice__thread_watch {
	struct sluice__thread_watch *next; /* of the thread */
	struct sluice__thread_watch *next_of_engine;
	struct sluice__thread_watch **link_of_engine;
	struct sluice_engine *engine; /* atomic; NULL: it is gone */
	struct sluice__post *post;
	uint32_t number;
};

static pthread_key_t watches_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_error;
static uint32_t numbers; /* atomic */

/* On the engine's thread. */
static void end_what_it_started(struct sluice_engine *engine, void *token)
{
	struct sluice_socket *socket;

	sluice__mailbox_take(engine);
	pthread_mutex_lock(&engine->lock);
	socket = engine->sockets;
	pthread_mutex_unlock(&engine->lock);
	for (; socket; socket = socket->next)
		sluice__give_up_of_thread(socket, (uint32_t)(uintptr_t)token);
}

/* Under the lock of the process. */
static void unlink_watch(struct sluice__thread_watch *watch)
{
	*watch->link_of_engine = watch->next_of_engine;
	if (watch->next_of_engine)
		watch->next_of_engine->link_of_engine = watch->link_of_engine;
	__atomic_store_n(&watch->engine, NULL, __ATOMIC_RELEASE);
}

static void link_watch(struct sluice__thread_watch *watch, struct sluice_engine *engine)
{
	watch->next_of_engine = engine->thread_watches;
	if (watch->next_of_engine)
		watch->next_of_engine->link_of_engine = &watch->next_of_engine;
	watch->link_of_engine = &engine->thread_watches;
	engine->thread_watches = watch;
	__atomic_store_n(&watch->engine, engine, __ATOMIC_RELEASE);
}

static void thread_exits(void *token)
{
	struct sluice__thread_watch *watch = token;

	sluice__process_lock();
	while (watch) {
		struct sluice__thread_watch *next = watch->next;
		struct sluice_engine *engine = watch->engine;

		if (engine) {
			unlink_watch(watch);
			sluice__post_push(engine, watch->post);
		} else {
			free(watch->post);
		}
		free(watch);
		watch = next;
	}
	sluice__process_unlock();
}

static void set_up(void)
{
	once_error = pthread_key_create(&watches_key, thread_exits);
}

/* One of an engine that is gone serves again. */
static struct sluice__thread_watch *find(struct sluice__thread_watch *watch,
					 const struct sluice_engine *engine)
{
	while (watch && __atomic_load_n(&watch->engine, __ATOMIC_ACQUIRE) != engine)
		watch = watch->next;
	return watch;
}

static struct sluice__thread_watch *make(void)
{
	struct sluice__thread_watch *first = pthread_getspecific(watches_key);
	struct sluice__thread_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
	watch->post = sluice__post_make(end_what_it_started, (void *)(uintptr_t)watch->number);
	watch->next = first;
	if (!watch->post || pthread_setspecific(watches_key, watch) != 0) {
		free(watch->post);
		free(watch);
		return NULL;
	}
	return watch;
}

int sluice__thread_id_of_caller(struct sluice_engine *engine, uint32_t *ret_number)
{
	struct sluice__thread_watch *first, *watch;

	pthread_once(&once, set_up);
	if (once_error)
		return -once_error;
	first = pthread_getspecific(watches_key);
	watch = find(first, engine);
	if (!watch) {
		watch = find(first, NULL);
		if (!watch)
			watch = make();
		if (!watch)
			return -ENOMEM;
		sluice__process_lock();
		link_watch(watch, engine);
		sluice__process_unlock();
	}
	*ret_number = watch->number;
	return 0;
}

void sluice__thread_watches_forget(struct sluice_engine *engine)
{
	sluice__process_lock();
	while (engine->thread_watches)
		unlink_watch(engine->thread_watches);
	sluice__process_unlock();
}
