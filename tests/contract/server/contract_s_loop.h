/* SPDX-License-Identifier: MIT */
/* A foreign loop around the engine, and what another thread does while it sleeps. */
#ifndef CONTRACT_S_LOOP_H
#define CONTRACT_S_LOOP_H

#include "support.h"

#define PATIENCE_MS ((int)(GUARD_NS / MILLISECOND))

/* An engine with a TCP pair, whose descriptor is in an epoll. */
struct loop {
	struct fixture fixture;
	struct pair pair;
	int epoll;
	uint32_t mode;         /* EPOLLET or 0 */
	const char *triggered; /* edge or level */
	uint64_t turns;
};

typedef void loop_begin_fn(struct loop *loop, uint32_t mode);
typedef void loop_fn(struct loop *loop);

/* The descriptor is watched, or has not been asked for; or watched with one handler a turn. */
void loop_begin(struct loop *loop, uint32_t mode);
void loop_begin_unwatched(struct loop *loop, uint32_t mode);
void loop_begin_slow(struct loop *loop, uint32_t mode);
void loop_watch(struct loop *loop);
void loop_end(struct loop *loop);

/* Sleeps; runs the engine if it was woken. Returns whether it was. */
bool loop_turn(struct loop *loop, int timeout_ms);

#define loop_until(loop, condition)                                                        \
	do {                                                                               \
		while (!(condition))                                                       \
			cr_assert(loop_turn(loop, PATIENCE_MS), "never woken for %s (%s)", \
				  #condition, (loop)->triggered);                          \
	} while (0)

/* What the test started outside of run gets its turn, as a loop would give it before it sleeps. */
void loop_kick(struct loop *loop);

/*
 * What is still to be done gets done, and soon nothing wakes the loop for 100 ms. The kernel may
 * signal a completion once more some milliseconds after it was taken.
 */
void assert_quiet(struct loop *loop);

/* Begins the loop, keeps the promise, and ends the loop: in this mode, or in both. */
void in_mode(uint32_t mode, loop_begin_fn *begin, loop_fn *promise);
void in_both_modes(loop_begin_fn *begin, loop_fn *promise);

/* Tests one promise in both modes. The body has a `loop`, which `begin` makes. */
#define LOOP_TEST(row, name, begin)              \
	static loop_fn name##_in;                \
	Test(row, name)                          \
	{                                        \
		in_both_modes(begin, name##_in); \
	}                                        \
	static void name##_in(struct loop *loop)

struct consumer;

struct later {
	pthread_t thread;
	void (*act)(struct later *later);
	struct loop *loop;
	struct pair *pair;
	struct operation *operation;
	struct consumer *consumer;
	int answer;
};

/* Does it in another thread, when the loop sleeps. */
void later_start(struct later *later);
void later_join(struct later *later, int answer);

void peer_writes(struct later *later);

#endif
