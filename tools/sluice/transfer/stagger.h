/* SPDX-License-Identifier: MIT */
/* In which order and when the addresses of a host are tried, as RFC 8305 (Happy Eyeballs) has it. */
#ifndef SLUICE_COMMAND_TRANSFER_STAGGER_H
#define SLUICE_COMMAND_TRANSFER_STAGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAGGER_NS UINT64_C(250000000)

struct addrinfo;

/*
 * Every second address is one of another family than the first's, as long as there are such: a
 * family that does not work here costs one attempt. Returns how many there are.
 */
size_t stagger_order(const struct addrinfo *found, const struct addrinfo **ret_addresses,
		     size_t most);

/* All 0 but the count: the first one is due. */
struct stagger {
	size_t count; /* addresses */
	size_t begun;
	uint64_t next_ns; /* when the next one is due */
};

bool stagger_is_due(const struct stagger *stagger, uint64_t now_ns);
/* Returns the address that is tried now; one has to be left. */
size_t stagger_begin(struct stagger *stagger, uint64_t now_ns);
/* One that was tried failed: the next one is due at once. */
void stagger_failed(struct stagger *stagger);
/* How long nothing is due; -1: all of them have been tried. */
int64_t stagger_wait(const struct stagger *stagger, uint64_t now_ns);

#endif
