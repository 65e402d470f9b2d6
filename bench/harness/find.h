/* SPDX-License-Identifier: MIT */
/* Where the programs are that peers run. */
#ifndef BENCH_HARNESS_FIND_H
#define BENCH_HARNESS_FIND_H

/* In PATH, or where daemons are; NULL where there is none. Valid until the next call. */
const char *find_program(const char *name);

/* Beside this program, there or not. Valid until the next call. */
const char *find_background(const char *name);

#endif
