/* SPDX-License-Identifier: MIT */
/*
 * What holds between two calls, and what everything here relies on: a node in slot d of level l
 * has the wheel's own digits above l, and d is greater than the wheel's digit l. Hence
 *
 * - the lowest slot of the lowest level that is not empty holds the earliest nodes;
 * - a node's slot follows from its time and the wheel's, so it need not be kept;
 * - a node is in a slot if its time is later than the wheel's, else in one of the two lists.
 */
#include "base/wheel.h"

#include "base/assert.h"

enum {
	KIND_BITS = 2,
	LEVEL_BITS = 5,
	EXACT_NODES = 4 /* that are looked at for the exact time of the next one */
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

/* Where a time later than the wheel's belongs. */
static struct place place_of(const struct sluice__wheel *wheel, uint64_t ticks)
{
	unsigned int level = (63 - __builtin_clzll(ticks ^ wheel->ticks)) / LEVEL_BITS;
	unsigned int slot = (ticks >> (level * LEVEL_BITS)) & (SLUICE__WHEEL_SLOTS - 1);

	return (struct place){level, slot};
}

/* The slot of the earliest nodes; only when a level is not empty. */
static struct place first_place(const struct sluice__wheel *wheel)
{
	unsigned int level = __builtin_ctz(wheel->levels);

	return (struct place){level, __builtin_ctz(wheel->occupied[level])};
}

/* The time at which a slot begins. */
static uint64_t start_of(const struct sluice__wheel *wheel, struct place place)
{
	unsigned int shift = place.level * LEVEL_BITS;
	uint64_t above = (wheel->ticks >> shift) & ~(uint64_t)(SLUICE__WHEEL_SLOTS - 1);

	return (above | place.slot) << shift;
}

static void mark_empty(struct sluice__wheel *wheel, struct place place)
{
	wheel->occupied[place.level] &= ~(1U << place.slot);
	if (!wheel->occupied[place.level])
		wheel->levels &= ~(1U << place.level);
}

/* In front: a slot has its newest node first. */
static void slot_push(struct sluice__wheel *wheel, struct sluice__wheel_node *node)
{
	struct place place = place_of(wheel, ticks_of(node));
	struct sluice__wheel_node **head = &wheel->slots[place.level][place.slot];

	node->next = *head;
	node->link = head;
	if (node->next)
		node->next->link = &node->next;
	*head = node;
	wheel->occupied[place.level] |= 1U << place.slot;
	wheel->levels |= 1U << place.level;
}

static void list_init(struct sluice__wheel_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_append(struct sluice__wheel_list *list, struct sluice__wheel_node *node)
{
	sluice__assert(*list->end == NULL);
	node->next = NULL;
	node->link = list->end;
	*list->end = node;
	list->end = &node->next;
}

/* The end of the list, if it was this node that was just unlinked, is what pointed to it. */
static void list_mend(struct sluice__wheel_list *list, const struct sluice__wheel_node *node)
{
	if (list->end == &node->next)
		list->end = node->link;
}

static void list_splice(struct sluice__wheel_list *to, struct sluice__wheel_list *from)
{
	if (!from->first)
		return;
	sluice__assert(*to->end == NULL && *from->end == NULL);
	*to->end = from->first;
	from->first->link = to->end;
	to->end = from->end;
	list_init(from);
}

/* Into its slot, or at the end of past when its time has come. */
static void insert(struct sluice__wheel *wheel, struct sluice__wheel_list *past,
		   struct sluice__wheel_node *node)
{
	if (ticks_of(node) <= wheel->ticks)
		list_append(past, node);
	else
		slot_push(wheel, node);
}

void sluice__wheel_init(struct sluice__wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct sluice__wheel){.ticks = now_ns >> KIND_BITS};
	list_init(&wheel->due);
	list_init(&wheel->overdue);
}

/* Up, because a deadline is never early; the last few nanoseconds of all time have no room. */
static uint64_t round_up(uint64_t expires_ns)
{
	const uint64_t kinds = (1 << KIND_BITS) - 1;

	return expires_ns > UINT64_MAX - kinds ? ~kinds : (expires_ns + kinds) & ~kinds;
}

void sluice__wheel_arm(struct sluice__wheel *wheel, struct sluice__wheel_node *node,
		       uint64_t expires_ns, unsigned int kind)
{
	sluice__assert(kind >> KIND_BITS == 0);
	sluice__wheel_disarm(wheel, node);
	node->expires_ns = round_up(expires_ns) | kind;
	insert(wheel, &wheel->overdue, node);
}

void sluice__wheel_disarm(struct sluice__wheel *wheel, struct sluice__wheel_node *node)
{
	if (!node->link)
		return;
	sluice__assert(*node->link == node);
	sluice__assert(!node->next || node->next->link == &node->next);
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;

	if (ticks_of(node) > wheel->ticks) {
		struct place place = place_of(wheel, ticks_of(node));

		if (!wheel->slots[place.level][place.slot])
			mark_empty(wheel, place);
	} else {
		list_mend(&wheel->due, node);
		list_mend(&wheel->overdue, node);
	}
	node->next = NULL;
	node->link = NULL;
}

/*
 * The earliest time of the few nodes of a slot, so that one deadline, however far, means one
 * wakeup; or, when there are more, the start of the slot.
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

	place = first_place(wheel);
	for (node = wheel->slots[place.level][place.slot]; node && left; node = node->next) {
		if (ticks_of(node) < earliest)
			earliest = ticks_of(node);
		left--;
	}
	return (node ? start_of(wheel, place) : earliest) << KIND_BITS;
}

static struct sluice__wheel_node *slot_take(struct sluice__wheel *wheel, struct place place)
{
	struct sluice__wheel_node *newest = wheel->slots[place.level][place.slot];

	wheel->slots[place.level][place.slot] = NULL;
	mark_empty(wheel, place);
	return newest;
}

/* Turns a slot's nodes around, the oldest first, and tells the earliest time among them. */
static struct sluice__wheel_node *reverse(struct sluice__wheel_node *node, uint64_t *ret_earliest)
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
 * Moves the wheel's time to the earliest node of its first slot, or to ticks if that is earlier,
 * and the slot's nodes to where they belong from there. The lower levels are empty, so that what
 * is pushed oldest first keeps its order, and what is appended to due has the earliest time.
 */
static void cascade(struct sluice__wheel *wheel, struct place place, uint64_t ticks)
{
	uint64_t earliest;
	struct sluice__wheel_node *node = reverse(slot_take(wheel, place), &earliest);

	wheel->ticks = earliest < ticks ? earliest : ticks;
	while (node) {
		struct sluice__wheel_node *next = node->next;

		insert(wheel, &wheel->due, node);
		node = next;
	}
}

void sluice__wheel_expire_begin(struct sluice__wheel *wheel, uint64_t now_ns)
{
	uint64_t ticks = now_ns >> KIND_BITS;

	list_splice(&wheel->due, &wheel->overdue);
	while (wheel->levels) {
		struct place place = first_place(wheel);

		if (start_of(wheel, place) > ticks)
			break;
		cascade(wheel, place, ticks);
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
