/* SPDX-License-Identifier: MIT */
/* The turn of an engine: takes the inbox, dispatches completions and deadlines, calls handlers. */
#ifndef SLUICE_SRC_LOOP_LOOP_H
#define SLUICE_SRC_LOOP_LOOP_H

#include "backend/backend.h"
#include "core/record.h"
#include "engine/state.h"

/* mailbox.c: starts the records that other threads pushed. */
void sluice__mailbox_close(struct sluice_engine *engine); /* takes the rest; later pushes fail */
void sluice__mailbox_take(struct sluice_engine *engine);

/* intents.c */
void sluice__intents_take(struct sluice_engine *engine);

/* completion.c */
void sluice__complete(struct sluice_engine *engine, const struct sluice__completion *completion);

/* expire.c */
void sluice__deadline_expire(struct sluice_engine *engine);

/* deliver.c */
int sluice__deliver(struct sluice_engine *engine);
bool sluice__deliverable(const struct sluice_engine *engine);
bool sluice__deliverable_records(const struct sluice_engine *engine); /* ignores timers */

/* turn.c */
int sluice__turn(struct sluice_engine *engine, uint64_t until_ns);
void sluice__push_out(struct sluice_engine *engine);     /* transmits and submits, no wait */
void sluice__listen_again(struct sluice_engine *engine); /* arms the embedding loop's descriptor */

/* Outside of handlers, turns and batches, the embedding loop has to be informed of a start. */
static inline void sluice__listen_if_idle(struct sluice_engine *engine)
{
	if (unlikely(engine->embedded && !engine->busy))
		sluice__listen_again(engine);
}

/* thread_exit.c: with cancel_on_thread_exit, the exit of a thread cancels the records it started. */
int sluice__thread_watch_record(struct sluice_engine *engine, struct sluice_args *args);
void sluice__thread_watches_forget(struct sluice_engine *engine);

/*
 * Called for each start in a thread that is not the engine's. Returns the op_flags of the record: 0
 * unless its thread is watched; or -ENOMEM.
 */
static inline int sluice__thread_watch_start(struct sluice_engine *engine, struct sluice_args *args)
{
	if (likely(!engine->options.cancel_on_thread_exit))
		return 0;
	return sluice__thread_watch_record(engine, args);
}

#endif
