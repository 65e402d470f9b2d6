/* SPDX-License-Identifier: MIT */
/*
 * Marks engines dead when the process forks or their owner exits.
 *
 * A forked child has copies of the memory and the descriptors, and must not use the ring: its
 * engines are marked dead, and every call on them returns -EBADF. The thread pointer of an exited
 * owner may be reused by a new thread, so the exit clears it.
 */
#include "engine/fork.h"

#include <errno.h>
#include <pthread.h>

#include "engine/apm_calls.h"
#include "engine/owner.h"
#include "engine/state.h"

static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sluice_engine *engines;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t owner_key;
static int once_error;

void sluice__process_lock(void)
{
	pthread_mutex_lock(&engines_lock);
}

void sluice__process_unlock(void)
{
	pthread_mutex_unlock(&engines_lock);
}

/* The hooks of Begin and End, during a fork; NULL if no engine uses them. */
static const struct sluice__apm_calls *forking;

static void before_fork(void)
{
	pthread_mutex_lock(&engines_lock);
	forking = NULL;
	for (struct sluice_engine *engine = engines; engine && !forking;
	     engine = engine->in_process.next)
		forking = engine->apm_calls;
	if (forking)
		forking->before_fork();
}

static void after_fork(void)
{
	if (forking)
		forking->after_fork();
	pthread_mutex_unlock(&engines_lock);
}

static void after_fork_in_child(void)
{
	for (struct sluice_engine *engine = engines; engine; engine = engine->in_process.next) {
		__atomic_fetch_or(&engine->dead, SLUICE__DEAD_FORKED, __ATOMIC_RELAXED);
		engine->owner = 0;
		engine->creator = 0;
		pthread_mutex_init(&engine->lock, NULL);
		pthread_mutex_init(&engine->close_waits.lock, NULL);
		if (engine->apm_calls)
			engine->apm_calls->in_child(engine);
	}
	after_fork();
}

static void mark_engines_lost(void *token)
{
	(void)token;
	pthread_mutex_lock(&engines_lock);
	for (struct sluice_engine *engine = engines; engine; engine = engine->in_process.next) {
		if (engine->owner != sluice__self())
			continue;
		__atomic_fetch_or(&engine->dead, SLUICE__DEAD_LOST, __ATOMIC_RELAXED);
		__atomic_store_n(&engine->owner, 0, __ATOMIC_RELEASE);
		engine->creator = 0;
		__atomic_store_n(&engine->close_waits.in_turn, 0, __ATOMIC_RELAXED);
		if (engine->apm_calls)
			engine->apm_calls->owner_exited(engine);
	}
	pthread_mutex_unlock(&engines_lock);
}

static void install_hooks(void)
{
	once_error = pthread_key_create(&owner_key, mark_engines_lost);
	if (!once_error)
		once_error = pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

int sluice__process_register(struct sluice_engine *engine)
{
	pthread_once(&once, install_hooks);
	if (once_error)
		return -once_error;
	pthread_mutex_lock(&engines_lock);
	engine->in_process.next = engines;
	if (engine->in_process.next)
		engine->in_process.next->in_process.link = &engine->in_process.next;
	engine->in_process.link = &engines;
	engines = engine;
	pthread_mutex_unlock(&engines_lock);
	return 0;
}

void sluice__process_forget(struct sluice_engine *engine)
{
	if (!engine->in_process.link)
		return;
	pthread_mutex_lock(&engines_lock);
	*engine->in_process.link = engine->in_process.next;
	if (engine->in_process.next)
		engine->in_process.next->in_process.link = engine->in_process.link;
	pthread_mutex_unlock(&engines_lock);
}

void sluice__process_owned(struct sluice_engine *engine)
{
	pthread_setspecific(owner_key, engine);
}
