/* SPDX-License-Identifier: MIT */
/*
 * What a thread has started ends with it, on engines whose options say so. A thread that starts
 * something there gets a number, which each of its records carries, and a note with a post that is
 * made at once, so that its exit needs no memory: the exit hands the post to the engine, which looks
 * for the records. The engine's own thread needs no note: without it there is no engine.
 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/socket.h"
#include "engine/state.h"
#include "loop/loop.h"
#include "socket/socket.h"

struct sluice__note {
	struct sluice__note *next; /* of the thread */
	struct sluice__note *next_of_engine;
	struct sluice__note **link_of_engine;
	struct sluice_engine *engine; /* atomic; NULL: it is gone */
	struct sluice__post *post;
	uint32_t number;
};

static pthread_key_t notes_key;
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
static void unlink_note(struct sluice__note *note)
{
	*note->link_of_engine = note->next_of_engine;
	if (note->next_of_engine)
		note->next_of_engine->link_of_engine = note->link_of_engine;
	__atomic_store_n(&note->engine, NULL, __ATOMIC_RELEASE);
}

static void link_note(struct sluice__note *note, struct sluice_engine *engine)
{
	note->next_of_engine = engine->notes;
	if (note->next_of_engine)
		note->next_of_engine->link_of_engine = &note->next_of_engine;
	note->link_of_engine = &engine->notes;
	engine->notes = note;
	__atomic_store_n(&note->engine, engine, __ATOMIC_RELEASE);
}

static void thread_exits(void *token)
{
	struct sluice__note *note = token;

	sluice__process_lock();
	while (note) {
		struct sluice__note *next = note->next;
		struct sluice_engine *engine = note->engine;

		if (engine) {
			unlink_note(note);
			sluice__post_push(engine, note->post);
		} else {
			free(note->post);
		}
		free(note);
		note = next;
	}
	sluice__process_unlock();
}

static void set_up(void)
{
	once_error = pthread_key_create(&notes_key, thread_exits);
}

/* One of an engine that is gone serves again. */
static struct sluice__note *find(struct sluice__note *note, const struct sluice_engine *engine)
{
	while (note && __atomic_load_n(&note->engine, __ATOMIC_ACQUIRE) != engine)
		note = note->next;
	return note;
}

static struct sluice__note *make(void)
{
	struct sluice__note *first = pthread_getspecific(notes_key);
	struct sluice__note *note = calloc(1, sizeof *note);

	if (!note)
		return NULL;
	note->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
	note->post = sluice__post_make(end_what_it_started, (void *)(uintptr_t)note->number);
	note->next = first;
	if (!note->post || pthread_setspecific(notes_key, note) != 0) {
		free(note->post);
		free(note);
		return NULL;
	}
	return note;
}

int sluice__exits_number(struct sluice_engine *engine, uint32_t *ret_number)
{
	struct sluice__note *first, *note;

	pthread_once(&once, set_up);
	if (once_error)
		return -once_error;
	first = pthread_getspecific(notes_key);
	note = find(first, engine);
	if (!note) {
		note = find(first, NULL);
		if (!note)
			note = make();
		if (!note)
			return -ENOMEM;
		sluice__process_lock();
		link_note(note, engine);
		sluice__process_unlock();
	}
	*ret_number = note->number;
	return 0;
}

void sluice__exits_forget(struct sluice_engine *engine)
{
	sluice__process_lock();
	while (engine->notes)
		unlink_note(engine->notes);
	sluice__process_unlock();
}
