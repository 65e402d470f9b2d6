/* SPDX-License-Identifier: MIT */
/*
 * What the programs over the scripted backend share that work on one fixture, on pairs, and on one
 * pattern.
 */
#ifndef SCRIPTED_PAIR_H
#define SCRIPTED_PAIR_H

#include "scripted.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATTERN 1000000

extern struct fixture fixture;
extern unsigned char pattern[PATTERN]; /* is only read */

/* scripted_begin_with of the fixture, without options scripted_begin; fills the pattern as well. */
void begin_over(bool sends, struct sluice_options *options);

/* One turn that waits for nothing. */
void run(void);

/* Closes the pair and ends the fixture; what is cancelled by that is answered as cancelled. */
void end_over(struct pair *pair);

/*
 * Defines a test as Test does. Its body has a `pair`, which `begin` makes with the arguments behind it
 * and end_over ends. Nothing may then refer to a variable of the body.
 */
#define SCRIPTED_TEST(row, name, begin, ...)        \
	static void name##_body(struct pair *pair); \
	Test(row, name)                             \
	{                                           \
		struct pair pair;                   \
                                                    \
		begin(&pair, ##__VA_ARGS__);        \
		name##_body(&pair);                 \
		end_over(&pair);                    \
	}                                           \
	static void name##_body(struct pair *pair)

#endif
