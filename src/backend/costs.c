/* SPDX-License-Identifier: MIT */
/* Measures the cost of a system call, which is 0.1 us to over 1 us, depending on the machine. */
#include <errno.h>
#include <sys/socket.h>

#include "backend/backend.h"
#include "engine/owner.h"

#define ROUNDS 5
#define CALLS 8

/*
 * Measures a send(2) on an invalid descriptor, since that is the call that the ring replaces. A
 * seccomp filter that allows sends allows the measurement too, and its cost is part of the result.
 */
uint32_t sluice__measure_call(void)
{
	uint64_t least = UINT64_MAX;
	int saved = errno;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before = sluice__now(), spent;

		for (int i = 0; i < CALLS; i++)
			send(-1, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
		spent = (sluice__now() - before) / CALLS;
		least = spent < least ? spent : least;
	}
	errno = saved;
	return least < UINT32_MAX ? (uint32_t)least : UINT32_MAX;
}
