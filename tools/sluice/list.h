/* SPDX-License-Identifier: MIT */
/*
 * A circular, intrusive list. A link that is on no list points at itself, so that removing it is
 * always valid.
 */
#ifndef SLUICE_COMMAND_LIST_H
#define SLUICE_COMMAND_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next;
	struct link *prev;
};

#define LINK_OWNER(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct link *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_is_empty(const struct link *list)
{
	return list->next == list;
}

static inline void list_append(struct link *list, struct link *link)
{
	link->prev = list->prev;
	link->next = list;
	list->prev->next = link;
	list->prev = link;
}

static inline void list_remove(struct link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* Moves all links from one list to another, which is empty. */
static inline void list_take(struct link *to, struct link *from)
{
	list_init(to);
	if (list_is_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

#endif
