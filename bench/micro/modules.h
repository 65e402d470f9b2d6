/* SPDX-License-Identifier: MIT */
/* Single modules of the library without an engine, for micro.cc: the send queue, the plan. */
#ifndef BENCH_MICRO_MODULES_H
#define BENCH_MICRO_MODULES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue, and as many records of 64 bytes, at most 1,024. The program exits if out of memory. */
struct modules *modules_create(size_t records);
void modules_destroy(struct modules *modules);

/* In this order: all records into the queue, their segments into a list, all accepted. */
void modules_enqueue(struct modules *modules);
void modules_gather(struct modules *modules);
void modules_settle(struct modules *modules);

/* In place of the last step: all but the last byte were accepted. Still empties the queue. */
void modules_settle_short(struct modules *modules);

/* Decides so many times how memory and how a file is sent. The sum of the answers. */
int modules_plan(size_t times);

#ifdef __cplusplus
}
#endif
#endif
