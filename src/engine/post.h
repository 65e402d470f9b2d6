/* SPDX-License-Identifier: MIT */
/* Posts: functions to run on the engine's thread. */
#ifndef SLUICE_SRC_ENGINE_POST_H
#define SLUICE_SRC_ENGINE_POST_H

#include "base/queue.h"

struct sluice__post;
struct sluice_engine;

struct sluice__posts {
	struct sluice__stack pushed; /* by any thread */
	struct sluice__fifo taken;
};

struct sluice__post *sluice__post_make(void (*function)(struct sluice_engine *engine, void *token),
				       void *token); /* NULL: out of memory */
void sluice__post_push(struct sluice_engine *engine, struct sluice__post *post);
void sluice__posts_take(struct sluice_engine *engine);
void sluice__posts_deliver(struct sluice_engine *engine);
void sluice__posts_drop(struct sluice_engine *engine);

#endif
