/* SPDX-License-Identifier: MIT */
/* Single rooms of the library without an engine around them, for micro.cc: the send queue, the plan. */
#ifndef BENCH_ROOMS_H
#define BENCH_ROOMS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue, and as many records of 64 bytes, at most 1,024. The program ends where there is no memory. */
struct rooms *rooms_create(size_t records);
void rooms_destroy(struct rooms *rooms);

/* One after the other: all records into the queue, their segments into a list, all taken whole. */
void rooms_enqueue(struct rooms *rooms);
void rooms_gather(struct rooms *rooms);
void rooms_settle(struct rooms *rooms);

/* Instead of the last one: all but the last byte were taken. Empties the queue all the same. */
void rooms_settle_short(struct rooms *rooms);

/* Decides so often which way memory and which way a file goes. The sum of the answers. */
int rooms_plan(size_t times);

#ifdef __cplusplus
}
#endif
#endif
