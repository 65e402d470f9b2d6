/* SPDX-License-Identifier: MIT */
/*
 * The two containers of records. Both link records through members of the public struct.
 *
 *   list    a queue from which any record can be removed, in O(1)
 *   chain   finished records; whole sequences are spliced in and taken out in O(1)
 */
#ifndef SLUICE_SRC_CORE_RECORD_LIST_H
#define SLUICE_SRC_CORE_RECORD_LIST_H

#include "core/record.h"

/* Must not move: the first record points into it. */
struct sluice__list {
	struct sluice_args *head;
	struct sluice_args **end; /* the next pointer of the last record */
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

/* Removes head..last. */
static inline void sluice__list_cut(struct sluice__list *list, struct sluice_args *last)
{
	sluice__assert(list->head);
	list->head = last->run.next;
	if (list->head)
		list->head->run.link = &list->head;
	else
		list->end = &list->head;
}

/* Finished records whose handlers have not run yet. */
struct sluice__chain {
	struct sluice_args *first;
	struct sluice_args **end; /* the next pointer of the last record */
	uint64_t added;           /* total */
	uint64_t taken;           /* total */
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

/* Appends first..last, which are linked already. */
static inline void sluice__chain_splice(struct sluice__chain *chain, struct sluice_args *first,
					struct sluice_args *last, uint32_t count)
{
	sluice__assert(*chain->end == NULL && count > 0);
	last->run.next = NULL;
	*chain->end = first;
	chain->end = &last->run.next;
	chain->added += count;
}

/* Appends all records of `from`, which is empty afterwards. */
static inline void sluice__chain_move(struct sluice__chain *chain, struct sluice__chain *from)
{
	if (!from->first)
		return;
	*chain->end = from->first;
	chain->end = from->end;
	chain->added += from->added;
	sluice__chain_init(from);
}

/*
 * Removes the record if it was added at `end`, which was the chain's end before. Nothing may have been
 * added behind it.
 */
static inline bool sluice__chain_take_back(struct sluice__chain *chain, struct sluice_args **end,
					   const struct sluice_args *args)
{
	if (*end != args)
		return false;
	sluice__assert(chain->end == &args->run.next);
	*end = NULL;
	chain->end = end;
	chain->added--;
	return true;
}

/* Removes and returns all records, linked; *ret_end is their end. The caller counts `taken`. */
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

/* Puts the rest of the taken records back, in front of those added since. */
static inline void sluice__chain_put_back(struct sluice__chain *chain, struct sluice_args *first,
					  struct sluice_args **end)
{
	*end = chain->first;
	if (!chain->first)
		chain->end = end;
	chain->first = first;
}

#endif
