/* SPDX-License-Identifier: MIT */
/* Counts the connections of each client, in all workers. */
#ifndef SLUICE_COMMAND_SERVE_ADDRESSES_H
#define SLUICE_COMMAND_SERVE_ADDRESSES_H

#include <pthread.h>

#include "serve/proxy.h"

struct addresses {
	uint64_t most; /* per client; 0: not counted */
	pthread_mutex_t lock;
	uint64_t seed;
	struct address_count **buckets;
};

/* 0 or -ENOMEM. */
int addresses_init(struct addresses *addresses, uint64_t most);
void addresses_dispose(struct addresses *addresses);

/* Counts one more connection; false: the limit is reached, and it is not counted. Any thread. */
bool addresses_enter(struct addresses *addresses, const struct in6_addr *address);
void addresses_leave(struct addresses *addresses, const struct in6_addr *address);

#endif
