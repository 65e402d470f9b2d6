/* SPDX-License-Identifier: MIT */
/* Waiting for a word to change. */
#ifndef SLUICE_SRC_BASE_FUTEX_H
#define SLUICE_SRC_BASE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Sleeps while *word == expected, until deadline_ns at the latest (CLOCK_MONOTONIC; UINT64_MAX: no
 * deadline). May return early: the caller has to check the word again.
 */
static inline void sluice__futex_wait(const uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
		deadline_ns == UINT64_MAX ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Uses only the address: the word's memory may have been freed. */
static inline void sluice__futex_wake_all(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
