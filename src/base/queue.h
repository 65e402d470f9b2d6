/* SPDX-License-Identifier: MIT */
/*
 * The library's intrusive containers. An element embeds one link for each container it can be in.
 *
 *   fifo    one thread; push at the end, pop at the front, O(1)
 *   stack   lock-free; any thread pushes, one thread takes everything at once
 *   pool    one thread or a lock; free elements, last in, first out
 *
 * Records have lists of their own (core/record_list.h).
 */
#ifndef SLUICE_SRC_BASE_QUEUE_H
#define SLUICE_SRC_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

struct sluice__link {
	struct sluice__link *next;
};

/* The element of type TYPE whose MEMBER is LINK; NULL for NULL. */
#define sluice__element(link, type, member)                                                   \
	__extension__({                                                                       \
		struct sluice__link *link_ = (link);                                          \
		link_ ? (type *)(void *)((char *)link_ - offsetof(type, member)) : (type *)0; \
	})

/* ---- fifo ---- */

struct sluice__fifo {
	struct sluice__link *first;
	struct sluice__link **end; /* the next pointer of the last element */
};

static inline void sluice__fifo_init(struct sluice__fifo *fifo)
{
	fifo->first = NULL;
	fifo->end = &fifo->first;
}

static inline bool sluice__fifo_is_empty(const struct sluice__fifo *fifo)
{
	return !fifo->first;
}

static inline void sluice__fifo_push(struct sluice__fifo *fifo, struct sluice__link *link)
{
	sluice__assert(*fifo->end == NULL);
	link->next = NULL;
	*fifo->end = link;
	fifo->end = &link->next;
}

/* The element pushed last; NULL if the fifo is empty. A link consists of its next pointer only. */
static inline struct sluice__link *sluice__fifo_last(const struct sluice__fifo *fifo)
{
	return fifo->first ? (struct sluice__link *)(void *)fifo->end : NULL;
}

/* NULL if the fifo is empty. */
static inline struct sluice__link *sluice__fifo_pop(struct sluice__fifo *fifo)
{
	struct sluice__link *link = fifo->first;

	if (!link)
		return NULL;
	fifo->first = link->next;
	if (!fifo->first) {
		sluice__assert(fifo->end == &link->next);
		fifo->end = &fifo->first;
	}
	return link;
}

/* Empties the fifo and returns its elements, linked in order. */
static inline struct sluice__link *sluice__fifo_take_all(struct sluice__fifo *fifo)
{
	struct sluice__link *first = fifo->first;

	sluice__assert(*fifo->end == NULL);
	sluice__fifo_init(fifo);
	return first;
}

/* Appends a chain of links that ends with NULL. */
static inline void sluice__fifo_append(struct sluice__fifo *fifo, struct sluice__link *first)
{
	*fifo->end = first;
	while (*fifo->end)
		fifo->end = &(*fifo->end)->next;
}

/* Removes *at, where at is `first` or the next pointer of an element. */
static inline void sluice__fifo_remove_at(struct sluice__fifo *fifo, struct sluice__link **at)
{
	struct sluice__link *link = *at;

	*at = link->next;
	if (!*at) {
		sluice__assert(fifo->end == &link->next);
		fifo->end = at;
	}
}

/* O(n). False: the element is not in the fifo. */
static inline bool sluice__fifo_remove(struct sluice__fifo *fifo, const struct sluice__link *link)
{
	struct sluice__link **at = &fifo->first;

	while (*at && *at != link)
		at = &(*at)->next;
	if (!*at)
		return false;
	sluice__fifo_remove_at(fifo, at);
	return true;
}

/* ---- stack ---- */

struct sluice__stack {
	struct sluice__link *top; /* atomic; the newest */
};

/* The top of a closed stack. */
#define SLUICE__STACK_CLOSED ((struct sluice__link *)1)

enum sluice__push {
	SLUICE__PUSHED,
	SLUICE__PUSHED_FIRST, /* the stack was empty */
	SLUICE__PUSH_CLOSED   /* nothing was pushed */
};

/*
 * Sequentially consistent: a consumer that announces that it will sleep, then checks the stack,
 * sees the push.
 */
static inline enum sluice__push sluice__stack_push(struct sluice__stack *stack,
						   struct sluice__link *link)
{
	struct sluice__link *top = __atomic_load_n(&stack->top, __ATOMIC_RELAXED);

	do {
		if (top == SLUICE__STACK_CLOSED)
			return SLUICE__PUSH_CLOSED;
		link->next = top;
	} while (!__atomic_compare_exchange_n(&stack->top, &top, link, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	/* The element may have been taken and freed already. */
	return top ? SLUICE__PUSHED : SLUICE__PUSHED_FIRST;
}

/* Only a hint, unless the order is sequentially consistent. */
static inline bool sluice__stack_is_empty(const struct sluice__stack *stack, int order)
{
	return !__atomic_load_n(&stack->top, order);
}

/* Not 0 if the stack has elements: to test several with one branch. Relaxed. */
static inline uintptr_t sluice__stack_top(const struct sluice__stack *stack)
{
	return (uintptr_t)__atomic_load_n(&stack->top, __ATOMIC_RELAXED);
}

static inline struct sluice__link *sluice__link_reverse(struct sluice__link *link)
{
	struct sluice__link *reversed = NULL;

	while (link) {
		struct sluice__link *next = link->next;

		link->next = reversed;
		reversed = link;
		link = next;
	}
	return reversed;
}

/* All elements, oldest first. A plain load first: no locked instruction if the stack is empty. */
static inline struct sluice__link *sluice__stack_take_all(struct sluice__stack *stack)
{
	if (sluice__stack_is_empty(stack, __ATOMIC_RELAXED))
		return NULL;
	sluice__assert(__atomic_load_n(&stack->top, __ATOMIC_RELAXED) != SLUICE__STACK_CLOSED);
	return sluice__link_reverse(__atomic_exchange_n(&stack->top, NULL, __ATOMIC_ACQUIRE));
}

/* All elements, oldest first. Later pushes fail with SLUICE__PUSH_CLOSED. Call it once. */
static inline struct sluice__link *sluice__stack_close(struct sluice__stack *stack)
{
	struct sluice__link *top =
		__atomic_exchange_n(&stack->top, SLUICE__STACK_CLOSED, __ATOMIC_ACQUIRE);

	sluice__assert(top != SLUICE__STACK_CLOSED);
	return sluice__link_reverse(top);
}

/* ---- pool ---- */

struct sluice__pool {
	struct sluice__link *free;
};

static inline bool sluice__pool_is_empty(const struct sluice__pool *pool)
{
	return !pool->free;
}

static inline void sluice__pool_put(struct sluice__pool *pool, struct sluice__link *link)
{
	sluice__assert(pool->free != link);
	link->next = pool->free;
	pool->free = link;
}

/* The element that was put last (its memory is likely cached); NULL if the pool is empty. */
static inline struct sluice__link *sluice__pool_get(struct sluice__pool *pool)
{
	struct sluice__link *link = pool->free;

	if (link)
		pool->free = link->next;
	return link;
}

#endif
