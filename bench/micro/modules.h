/* SPDX-License-Identifier: MIT */
/* Single modules of the library without an engine around them, for micro.cc: the send queue, the plan. */
#ifndef BENCH_MICRO_MODULES_H
#define BENCH_MICRO_MODULES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue, and as many records of 64 bytes, at most 1,024. The program ends where there is no memory. */
struct modules *modules_create(size_t records);
void modules_destroy(struct modules *modules);

/* One after the other: all records into the queue, their segments into a list, all taken whole. */
void modules_enqueue(struct modules *modules);
void modules_gather(struct modules *modules);
void modules_settle(struct modules *modules);

/* Instead of the last one: all but the last byte were taken. Empties the queue all the same. */
void modules_settle_short(struct modules *modules);

/* Decides so often which way memory and which way a file goes. The sum of the answers. */
int modules_plan(size_t times);

#ifdef __cplusplus
}
#endif
#endif
