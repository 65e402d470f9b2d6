/* SPDX-License-Identifier: MIT */
/*
 * Invariant between two calls: a node in slot d of level l has the same digits above l as the
 * wheel's time, and d is greater than digit l of the wheel's time. Hence
 *
 * - the lowest occupied slot of the lowest occupied level holds the earliest nodes;
 * - a node's slot follows from its time and the wheel's, so it need not be stored;
 * - a node is in a slot if its time is later than the wheel's, else in one of the two lists.
 */
#include "base/wheel.h"

#include <stdbool.h>

#include "base/assert.h"

enum {
	KIND_BITS = 2,
	LEVEL_BITS = 5,
	EXACT_NODES = 4 /* nodes examined for the exact time of the next expiry */
};

_Static_assert(1 << LEVEL_BITS == SLUICE__WHEEL_SLOTS, "a digit is a slot");
_Static_assert(64 - KIND_BITS <= LEVEL_BITS * SLUICE__WHEEL_LEVELS, "every time has a slot");
_Static_assert(sizeof(struct sluice__wheel) <= 4096, "an engine's wheel is small");

struct place {
	unsigned int level;
	unsigned int slot;
};

static uint64_t ticks_of(const struct sluice__wheel_node *node)
{
	return node->expires_ns >> KIND_BITS;
}

/* The slot for a time later than the wheel's. */
static struct place wheel_slot_of(const struct sluice__wheel *wheel, uint64_t ticks)
{
	unsigned int level = (63 - __builtin_clzll(ticks ^ wheel->ticks)) / LEVEL_BITS;
	unsigned int slot = (ticks >> (level * LEVEL_BITS)) & (SLUICE__WHEEL_SLOTS - 1);

	return (struct place){level, slot};
}

/* The slot of the earliest nodes; some level must be occupied. */
static struct place wheel_first_slot(const struct sluice__wheel *wheel)
{
	unsigned int level = __builtin_ctz(wheel->levels);

	return (struct place){level, __builtin_ctz(wheel->occupied[level])};
}

/* The time at which a slot begins. */
static uint64_t wheel_slot_start(const struct sluice__wheel *wheel, struct place place)
{
	unsigned int shift = place.level * LEVEL_BITS;
	uint64_t above = (wheel->ticks >> shift) & ~(uint64_t)(SLUICE__WHEEL_SLOTS - 1);

	return (above | place.slot) << shift;
}

static void wheel_slot_mark_empty(struct sluice__wheel *wheel, struct place place)
{
	wheel->occupied[place.level] &= ~(1U << place.slot);
	if (!wheel->occupied[place.level])
		wheel->levels &= ~(1U << place.level);
}

/* At the front: the newest node of a slot is its first. */
static void wheel_slot_push(struct sluice__wheel *wheel, struct sluice__wheel_node *node)
{
	struct place place = wheel_slot_of(wheel, ticks_of(node));
	struct sluice__wheel_node **head = &wheel->slots[place.level][place.slot];

	node->next = *head;
	node->link = head;
	if (node->next)
		node->next->link = &node->next;
	*head = node;
	wheel->occupied[place.level] |= 1U << place.slot;
	wheel->levels |= 1U << place.level;
}

static void wheel_list_init(struct sluice__wheel_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void wheel_list_append(struct sluice__wheel_list *list, struct sluice__wheel_node *node)
{
	sluice__assert(*list->end == NULL);
	node->next = NULL;
	node->link = list->end;
	*list->end = node;
	list->end = &node->next;
}

/* If the node just unlinked was the last, its predecessor becomes the end of the list. */
static void wheel_list_fix_end(struct sluice__wheel_list *list,
			       const struct sluice__wheel_node *node)
{
	if (list->end == &node->next)
		list->end = node->link;
}

static void wheel_list_splice(struct sluice__wheel_list *to, struct sluice__wheel_list *from)
{
	if (!from->first)
		return;
	sluice__assert(*to->end == NULL && *from->end == NULL);
	*to->end = from->first;
	from->first->link = to->end;
	to->end = from->end;
	wheel_list_init(from);
}

/* Adds the node to its slot, or appends it to past if its time has come. */
static void wheel_insert(struct sluice__wheel *wheel, struct sluice__wheel_list *past,
			 struct sluice__wheel_node *node)
{
	if (ticks_of(node) <= wheel->ticks)
		wheel_list_append(past, node);
	else
		wheel_slot_push(wheel, node);
}

void sluice__wheel_init(struct sluice__wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct sluice__wheel){.ticks = now_ns >> KIND_BITS};
	wheel_list_init(&wheel->due);
	wheel_list_init(&wheel->overdue);
}

/* Up, because a deadline is never early. Saturates at the greatest multiple of 4. */
static uint64_t wheel_round_up(uint64_t expires_ns)
{
	const uint64_t kinds = (1 << KIND_BITS) - 1;

	return expires_ns > UINT64_MAX - kinds ? ~kinds : (expires_ns + kinds) & ~kinds;
}

static inline bool wheel_counts_right(const struct sluice__wheel *wheel)
{
	return !wheel->armed == !(wheel->levels || wheel->due.first || wheel->overdue.first);
}

void sluice__wheel_arm(struct sluice__wheel *wheel, struct sluice__wheel_node *node,
		       uint64_t expires_ns, unsigned int kind)
{
	sluice__assert(kind >> KIND_BITS == 0);
	sluice__wheel_disarm(wheel, node);
	node->expires_ns = wheel_round_up(expires_ns) | kind;
	wheel_insert(wheel, &wheel->overdue, node);
	wheel->armed++;
}

void sluice__wheel_disarm(struct sluice__wheel *wheel, struct sluice__wheel_node *node)
{
	if (!node->link)
		return;
	sluice__assert(*node->link == node);
	sluice__assert(!node->next || node->next->link == &node->next);
	sluice__assert(wheel->armed > 0);
	wheel->armed--;
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;

	if (ticks_of(node) > wheel->ticks) {
		struct place place = wheel_slot_of(wheel, ticks_of(node));

		if (!wheel->slots[place.level][place.slot])
			wheel_slot_mark_empty(wheel, place);
	} else {
		wheel_list_fix_end(&wheel->due, node);
		wheel_list_fix_end(&wheel->overdue, node);
	}
	node->next = NULL;
	node->link = NULL;
	sluice__assert(wheel_counts_right(wheel));
}

/*
 * The exact earliest time if the slot has at most EXACT_NODES nodes, so that a single deadline,
 * however distant, causes one wake-up; otherwise the start of the slot.
 */
uint64_t sluice__wheel_earliest(const struct sluice__wheel *wheel)
{
	const struct sluice__wheel_node *node;
	struct place place;
	uint64_t earliest = UINT64_MAX;
	int left = EXACT_NODES;

	if (wheel->due.first || wheel->overdue.first)
		return 0;
	if (!wheel->levels)
		return UINT64_MAX;

	place = wheel_first_slot(wheel);
	for (node = wheel->slots[place.level][place.slot]; node && left; node = node->next) {
		if (ticks_of(node) < earliest)
			earliest = ticks_of(node);
		left--;
	}
	return (node ? wheel_slot_start(wheel, place) : earliest) << KIND_BITS;
}

static struct sluice__wheel_node *wheel_slot_take_all(struct sluice__wheel *wheel,
						      struct place place)
{
	struct sluice__wheel_node *newest = wheel->slots[place.level][place.slot];

	wheel->slots[place.level][place.slot] = NULL;
	wheel_slot_mark_empty(wheel, place);
	return newest;
}

/* Reverses a slot's nodes to oldest first, and returns the earliest time among them. */
static struct sluice__wheel_node *wheel_slot_reverse(struct sluice__wheel_node *node,
						     uint64_t *ret_earliest)
{
	struct sluice__wheel_node *reversed = NULL;

	*ret_earliest = UINT64_MAX;
	while (node) {
		struct sluice__wheel_node *next = node->next;

		if (ticks_of(node) < *ret_earliest)
			*ret_earliest = ticks_of(node);
		node->next = reversed;
		reversed = node;
		node = next;
	}
	return reversed;
}

/*
 * Advances the wheel's time to the earliest node of its first slot, or to ticks if that is earlier,
 * and inserts the slot's nodes again relative to that time. The lower levels are empty: nodes
 * inserted oldest first keep their order, and those appended to due have the earliest time.
 */
static void wheel_cascade(struct sluice__wheel *wheel, struct place place, uint64_t ticks)
{
	uint64_t earliest;
	struct sluice__wheel_node *node =
		wheel_slot_reverse(wheel_slot_take_all(wheel, place), &earliest);

	wheel->ticks = earliest < ticks ? earliest : ticks;
	while (node) {
		struct sluice__wheel_node *next = node->next;

		wheel_insert(wheel, &wheel->due, node);
		node = next;
	}
}

void sluice__wheel_expire_begin(struct sluice__wheel *wheel, uint64_t now_ns)
{
	uint64_t ticks = now_ns >> KIND_BITS;

	wheel_list_splice(&wheel->due, &wheel->overdue);
	while (wheel->levels) {
		struct place place = wheel_first_slot(wheel);

		if (wheel_slot_start(wheel, place) > ticks)
			break;
		wheel_cascade(wheel, place, ticks);
	}
	if (wheel->ticks < ticks)
		wheel->ticks = ticks;
}

struct sluice__wheel_node *sluice__wheel_expire(struct sluice__wheel *wheel)
{
	struct sluice__wheel_node *node = wheel->due.first;

	if (node)
		sluice__wheel_disarm(wheel, node);
	return node;
}
