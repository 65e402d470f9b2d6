/* SPDX-License-Identifier: MIT */
/*
 * A hierarchical timing wheel with a resolution of 4 ns.
 *
 * Each level splits the span of one slot of the level above into 32. A node is in the level of the
 * highest digit in which its time differs from the wheel's, and cascades down when the wheel's time
 * reaches its slot. Arming and disarming are O(1), nothing is allocated, and any 64-bit time fits.
 * The wheel reads no clock; the caller passes the time.
 *
 * Nodes expire in the order of their times, nodes of equal time in the order they were armed, and
 * never early.
 */
#ifndef SLUICE_SRC_BASE_WHEEL_H
#define SLUICE_SRC_BASE_WHEEL_H

#include <stddef.h>
#include <stdint.h>

/*
 * One deadline, embedded in the object that it belongs to. It must not move while armed. All zero:
 * not armed.
 */
struct sluice__wheel_node {
	struct sluice__wheel_node *next;
	struct sluice__wheel_node **link; /* the pointer to this node; NULL: not armed */
	uint64_t expires_ns;              /* a multiple of 4, plus the kind */
};

_Static_assert(sizeof(struct sluice__wheel_node) == 3 * sizeof(void *),
	       "a record reserves three pointers for its deadline");

enum {
	SLUICE__WHEEL_LEVELS = 13, /* of 5 bits each, for the 62 bits of a multiple of 4 */
	SLUICE__WHEEL_SLOTS = 32
};

/* First in, first out. */
struct sluice__wheel_list {
	struct sluice__wheel_node *first;
	struct sluice__wheel_node **end; /* the next pointer of the last node */
};

/* Must not move: armed nodes point into it. */
struct sluice__wheel {
	uint64_t ticks;                    /* the wheel's time, in units of 4 ns */
	struct sluice__wheel_list due;     /* expired: sluice__wheel_expire returns them */
	struct sluice__wheel_list overdue; /* armed for a time already past: for the next loop */
	uint32_t armed;                    /* nodes in the slots and the two lists */
	uint32_t levels;                   /* a bit for each level with an occupied slot */
	uint32_t occupied[SLUICE__WHEEL_LEVELS]; /* a bit for each occupied slot */
	struct sluice__wheel_node *slots[SLUICE__WHEEL_LEVELS][SLUICE__WHEEL_SLOTS];
};

/* Empty, at the time now_ns. */
void sluice__wheel_init(struct sluice__wheel *wheel, uint64_t now_ns);

/*
 * Arms or rearms the node for expires_ns, rounded up to a multiple of 4. kind, 0 to 3, means
 * nothing to the wheel. A node armed for a past time expires in the next loop, not in the current
 * one.
 */
void sluice__wheel_arm(struct sluice__wheel *wheel, struct sluice__wheel_node *node,
		       uint64_t expires_ns, unsigned int kind);

/* Does nothing if the node is not armed. */
void sluice__wheel_disarm(struct sluice__wheel *wheel, struct sluice__wheel_node *node);

/*
 * When to call expire_begin next: never later than the earliest deadline. It may be earlier if many
 * deadlines are close together; each such early call moves the answer on, at most once per level.
 * 0: now; UINT64_MAX: nothing is armed.
 */
uint64_t sluice__wheel_earliest(const struct sluice__wheel *wheel);

/* The same, inline for the empty wheel: most wheels are empty, and every turn calls this. */
static inline uint64_t sluice__wheel_next(const struct sluice__wheel *wheel)
{
	if (!wheel->armed)
		return UINT64_MAX;
	return sluice__wheel_earliest(wheel);
}

/*
 * A loop of expiries: expire_begin sets the time, then each expire removes and returns one node
 * armed for that time or earlier, and NULL after the last. In between, any node may be armed,
 * disarmed or freed. A loop may be left early: the next one starts with the rest. An earlier now_ns
 * than before leaves the wheel's time as it is.
 */
void sluice__wheel_expire_begin(struct sluice__wheel *wheel, uint64_t now_ns);
struct sluice__wheel_node *sluice__wheel_expire(struct sluice__wheel *wheel);

static inline int sluice__wheel_is_armed(const struct sluice__wheel_node *node)
{
	return node->link != NULL;
}

/* Of a node that has been armed; still valid after it expired. */
static inline unsigned int sluice__wheel_kind(const struct sluice__wheel_node *node)
{
	return node->expires_ns & 3;
}

#endif
