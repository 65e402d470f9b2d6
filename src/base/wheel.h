/* SPDX-License-Identifier: MIT */
/*
 * Deadlines in order: a wheel of wheels, exact to 4 ns.
 *
 * Each level splits the span of one slot of the level above into 32. A node stands at the level of
 * the highest digit in which its time differs from the wheel's, and is moved down when the wheel's
 * time reaches its slot. So arming and disarming cost the same whatever number is armed, nothing
 * is allocated, and any 64-bit time fits. The wheel reads no clock; it is told the time.
 *
 * Nodes leave in the order of their times, those of one time in the order in which they were
 * armed, never early.
 */
#ifndef SLUICE_SRC_BASE_WHEEL_H
#define SLUICE_SRC_BASE_WHEEL_H

#include <stddef.h>
#include <stdint.h>

/*
 * One deadline, in the memory of whoever waits for it, which must not move while it is armed. All
 * zero is a node that is not armed.
 */
struct sluice__wheel_node {
	struct sluice__wheel_node *next;
	struct sluice__wheel_node **link; /* what points here; NULL: not armed */
	uint64_t expires_ns;              /* a multiple of 4, plus the kind */
};

_Static_assert(sizeof(struct sluice__wheel_node) == 3 * sizeof(void *),
	       "a record keeps three pointers for its deadline");

enum {
	SLUICE__WHEEL_LEVELS = 13, /* of 5 bits, for the 62 that a multiple of 4 has */
	SLUICE__WHEEL_SLOTS = 32
};

/* First in, first out. */
struct sluice__wheel_list {
	struct sluice__wheel_node *first;
	struct sluice__wheel_node **end; /* where the next one is hung */
};

/* Must not move either: what is armed points into it. */
struct sluice__wheel {
	uint64_t ticks;                    /* the time it has been told, in units of 4 ns */
	struct sluice__wheel_list due;     /* expired: sluice__wheel_expire hands them out */
	struct sluice__wheel_list overdue; /* armed for a time already past: for the next loop */
	uint32_t levels;                   /* a bit for each level that is not empty */
	uint32_t occupied[SLUICE__WHEEL_LEVELS]; /* a bit for each slot that is not empty */
	struct sluice__wheel_node *slots[SLUICE__WHEEL_LEVELS][SLUICE__WHEEL_SLOTS];
};

/* Empty, at the time now_ns. */
void sluice__wheel_init(struct sluice__wheel *wheel, uint64_t now_ns);

/*
 * Arms the node for expires_ns, rounded up to a multiple of 4, or moves it there. kind, 0 to 3, is
 * the caller's. A time already past expires in the next loop, not in one that is under way.
 */
void sluice__wheel_arm(struct sluice__wheel *wheel, struct sluice__wheel_node *node,
		       uint64_t expires_ns, unsigned int kind);

/* Harmless when it is not armed. */
void sluice__wheel_disarm(struct sluice__wheel *wheel, struct sluice__wheel_node *node);

/*
 * When to call expire_begin next: never later than the earliest deadline. It may be earlier where
 * many stand close together, but then the answer after that call is later, at most once a level.
 * 0: at once; UINT64_MAX: nothing is armed.
 */
uint64_t sluice__wheel_earliest(const struct sluice__wheel *wheel);

/* The same; most wheels are empty, and every turn asks. */
static inline uint64_t sluice__wheel_next(const struct sluice__wheel *wheel)
{
	if (!(wheel->levels | (uintptr_t)wheel->due.first | (uintptr_t)wheel->overdue.first))
		return UINT64_MAX;
	return sluice__wheel_earliest(wheel);
}

/*
 * A loop of expiries: expire_begin tells the time, then each expire takes one node off that was
 * armed for that time or an earlier one, until there is none and it returns NULL. In between any
 * node may be armed, disarmed or freed. A loop may be left early: the next one begins with the
 * rest. A time earlier than before counts as the same time.
 */
void sluice__wheel_expire_begin(struct sluice__wheel *wheel, uint64_t now_ns);
struct sluice__wheel_node *sluice__wheel_expire(struct sluice__wheel *wheel);

static inline int sluice__wheel_is_armed(const struct sluice__wheel_node *node)
{
	return node->link != NULL;
}

/* Of a node that was armed once; it outlasts the expiry. */
static inline unsigned int sluice__wheel_kind(const struct sluice__wheel_node *node)
{
	return node->expires_ns & 3;
}

#endif
