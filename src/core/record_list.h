/* SPDX-License-Identifier: MIT */
/*
 * The two containers of records. Both link them by members of the public struct.
 *
 *   list    a queue that any record may leave, in O(1)
 *   chain   finished records; whole runs of them are spliced in and taken out at once
 */
#ifndef SLUICE_SRC_CORE_RECORD_LIST_H
#define SLUICE_SRC_CORE_RECORD_LIST_H

#include "core/record.h"

/* Records in a queue, any of which may leave it. The list must not move. */
struct sluice__list {
	struct sluice_args *head;
	struct sluice_args **end; /* where the next one is linked */
};

static inline void sluice__list_init(struct sluice__list *list)
{
	list->head = NULL;
	list->end = &list->head;
}

static inline void sluice__list_push(struct sluice__list *list, struct sluice_args *args)
{
	struct sluice_args **end = list->end;

	sluice__assert(*end == NULL);
	args->run.next = NULL;
	args->run.link = end;
	*end = args;
	list->end = &args->run.next;
}

static inline void sluice__list_remove(struct sluice__list *list, struct sluice_args *args)
{
	sluice__assert(*args->run.link == args);
	sluice__assert(args->run.next || list->end == &args->run.next);
	*args->run.link = args->run.next;
	if (args->run.next)
		args->run.next->run.link = args->run.link;
	else
		list->end = args->run.link;
}

/* Takes head..last off. */
static inline void sluice__list_cut(struct sluice__list *list, struct sluice_args *last)
{
	sluice__assert(list->head);
	list->head = last->run.next;
	if (list->head)
		list->head->run.link = &list->head;
	else
		list->end = &list->head;
}

/* A chain of records that are done and wait for their handlers. */
struct sluice__chain {
	struct sluice_args *first;
	struct sluice_args **end; /* where the next one is linked */
	uint64_t added;           /* since the beginning */
	uint64_t taken;
};

static inline void sluice__chain_init(struct sluice__chain *chain)
{
	chain->first = NULL;
	chain->end = &chain->first;
	chain->added = 0;
	chain->taken = 0;
}

static inline void sluice__chain_add(struct sluice__chain *chain, struct sluice_args *args)
{
	sluice__assert(*chain->end == NULL);
	args->run.next = NULL;
	*chain->end = args;
	chain->end = &args->run.next;
	chain->added++;
}

/* Adds first..last, which are linked already, in one step. */
static inline void sluice__chain_splice(struct sluice__chain *chain, struct sluice_args *first,
					struct sluice_args *last, uint32_t count)
{
	sluice__assert(*chain->end == NULL && count > 0);
	last->run.next = NULL;
	*chain->end = first;
	chain->end = &last->run.next;
	chain->added += count;
}

/* Adds all of another, which is empty then. */
static inline void sluice__chain_move(struct sluice__chain *chain, struct sluice__chain *from)
{
	if (!from->first)
		return;
	*chain->end = from->first;
	chain->end = from->end;
	chain->added += from->added;
	sluice__chain_init(from);
}

/* Everything, as a list of its own that ends at *ret_end. taken is left to the caller. */
static inline struct sluice_args *sluice__chain_take_all(struct sluice__chain *chain,
							 struct sluice_args ***ret_end)
{
	struct sluice_args *first = chain->first;

	sluice__assert(chain->first && *chain->end == NULL);
	*ret_end = chain->end;
	chain->first = NULL;
	chain->end = &chain->first;
	return first;
}

/* The rest of what was taken, in front of what came since. */
static inline void sluice__chain_put_back(struct sluice__chain *chain, struct sluice_args *first,
					  struct sluice_args **end)
{
	*end = chain->first;
	if (!chain->first)
		chain->end = end;
	chain->first = first;
}

#endif
