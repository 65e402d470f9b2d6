/* SPDX-License-Identifier: MIT */
/* Functions that other threads want run on the engine's. */
#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"

struct sluice__post {
	struct sluice__post *next;
	void (*function)(struct sluice_engine *engine, void *token);
	void *token;
};

struct sluice__post *sluice__post_make(void (*function)(struct sluice_engine *engine, void *token),
				       void *token)
{
	struct sluice__post *post = malloc(sizeof *post);

	if (!post)
		return NULL;
	post->function = function;
	post->token = token;
	return post;
}

void sluice__post_push(struct sluice_engine *engine, struct sluice__post *post)
{
	struct sluice__post *first = __atomic_load_n(&engine->posts, __ATOMIC_RELAXED);

	do {
		post->next = first;
	} while (!__atomic_compare_exchange_n(&engine->posts, &first, post, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	sluice__engine_nudge(engine);
}

int sluice_post(struct sluice_engine *engine,
		void (*function)(struct sluice_engine *engine, void *token), void *token)
{
	struct sluice__post *post;

	if (!engine || !function)
		return -EINVAL;
	if (sluice__dead(engine))
		return -EBADF;
	post = sluice__post_make(function, token);
	if (!post)
		return -ENOMEM;
	sluice__post_push(engine, post);
	return 0;
}

void sluice__posts_take(struct sluice_engine *engine)
{
	struct sluice__post *post, *oldest = NULL;
	struct sluice__post **end = &engine->posts_taken;

	if (!__atomic_load_n(&engine->posts, __ATOMIC_RELAXED))
		return;
	post = __atomic_exchange_n(&engine->posts, NULL, __ATOMIC_ACQUIRE);
	while (post) {
		struct sluice__post *next = post->next;

		post->next = oldest;
		oldest = post;
		post = next;
	}
	while (*end)
		end = &(*end)->next;
	*end = oldest;
}

void sluice__posts_deliver(struct sluice_engine *engine)
{
	while (engine->posts_taken && sluice__within_budget(engine)) {
		struct sluice__post *post = engine->posts_taken;

		engine->posts_taken = post->next;
		engine->statistics.posts++;
		post->function(engine, post->token);
		free(post);
		engine->statistics.handlers++;
	}
}

void sluice__posts_drop(struct sluice_engine *engine)
{
	sluice__posts_take(engine);
	while (engine->posts_taken) {
		struct sluice__post *post = engine->posts_taken;

		engine->posts_taken = post->next;
		free(post);
	}
}
