/* SPDX-License-Identifier: MIT */
/* Posts: functions to run on the engine's thread. */
#include "engine/post.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/queue.h"
#include "engine/budget.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/state.h"

struct sluice__post {
	struct sluice__link link;
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
	sluice__stack_push(&engine->posts.pushed, &post->link);
	sluice__engine_wake_if_asleep(engine);
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
	sluice__assert_owner(engine);
	sluice__fifo_append(&engine->posts.taken, sluice__stack_take_all(&engine->posts.pushed));
}

static struct sluice__post *post_pop(struct sluice_engine *engine)
{
	return sluice__element(sluice__fifo_pop(&engine->posts.taken), struct sluice__post, link);
}

void sluice__posts_deliver(struct sluice_engine *engine)
{
	struct sluice__post *post;

	sluice__assert_owner(engine);
	sluice__assert(engine->delivering);
	while (sluice__within_budget(&engine->budget, &engine->statistics) &&
	       (post = post_pop(engine))) {
		engine->statistics.posts++;
		post->function(engine, post->token);
		free(post);
		engine->statistics.handlers++;
	}
}

void sluice__posts_drop(struct sluice_engine *engine)
{
	struct sluice__post *post;

	sluice__assert_owner(engine);
	sluice__posts_take(engine);
	while ((post = post_pop(engine)))
		free(post);
}
