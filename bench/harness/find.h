/* SPDX-License-Identifier: MIT */
/* Finds the programs that peers execute. */
#ifndef BENCH_HARNESS_FIND_H
#define BENCH_HARNESS_FIND_H

/* In PATH, or in the directories of daemons; NULL: not found. Valid until the next call. */
const char *find_program(const char *name);

/* The path next to this program, whether it exists or not. Valid until the next call. */
const char *find_background(const char *name);

#endif
