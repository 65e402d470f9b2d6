/* SPDX-License-Identifier: MIT */
/* What the tests count, and what they take away. */
#ifndef MEASURE_H
#define MEASURE_H

#include "support.h"

struct sluice_engine_statistics statistics_of(struct fixture *fixture);

/* Runs the engine for so long; the number of its turns, of which one call of run may make many. */
uint64_t turns_in(struct fixture *fixture, int64_t duration_ns);

/* How often the thread has blocked (voluntary context switches). */
long waits(void);

/*
 * A child that this process traces, stopped by its first SIGUSR1, which child_main raises; child_main
 * does not return. Skips the test if ptrace(2) is not allowed.
 */
pid_t traced_child(void (*child_main)(void));

/* The state of a process or thread as /proc shows it: 'R', 'S', 'T'; '?': it is not there. */
char state_of(pid_t thread);

/* Whether the thread, which runs an engine, sleeps in a wait of that engine's. */
bool is_waiting(pid_t thread);

/* Kernel threads that work for this process's rings. */
int count_ring_workers(void);

/*
 * Gives up root's privileges for good, for a user that no other running test has; /proc/self stays
 * readable. Without root's privileges nothing happens.
 */
void become_nobody(void);

#define HOARD_MAX 1024

/* Descriptors that a test occupies. */
struct hoard {
	int fds[HOARD_MAX];
	int count;
	unsigned long limit; /* RLIMIT_NOFILE, as it was */
};

/* Sets the soft limit of descriptors; returns the one before. */
unsigned long limit_descriptors(unsigned long limit);

/* Takes every descriptor below the limit, HOARD_MAX at most. */
void hoard_begin(struct hoard *hoard, unsigned long limit);

/* Gives some back. */
void hoard_release(struct hoard *hoard, int count);

/* Gives all of them back, and the limit. */
void hoard_end(struct hoard *hoard);

#endif
