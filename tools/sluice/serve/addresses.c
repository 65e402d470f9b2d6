/* SPDX-License-Identifier: MIT */
#include "serve/addresses.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "hash.h"

#define BUCKETS 4096

struct address_count {
	struct address_count *next;
	struct in6_addr address;
	uint64_t count;
};

int addresses_init(struct addresses *addresses, uint64_t most)
{
	addresses->most = most;
	pthread_mutex_init(&addresses->lock, NULL);
	if (most == 0)
		return 0;
	if (getrandom(&addresses->seed, sizeof(addresses->seed), GRND_NONBLOCK) < 0)
		addresses->seed = (uint64_t)(uintptr_t)addresses;
	addresses->buckets = calloc(BUCKETS, sizeof(struct address_count *));
	return addresses->buckets != NULL ? 0 : -ENOMEM;
}

void addresses_dispose(struct addresses *addresses)
{
	for (size_t i = 0; addresses->buckets != NULL && i < BUCKETS; i++) {
		while (addresses->buckets[i] != NULL) {
			struct address_count *count = addresses->buckets[i];

			addresses->buckets[i] = count->next;
			free(count);
		}
	}
	free(addresses->buckets);
	addresses->buckets = NULL;
}

/* The slot of the address, or the one where it would be inserted. With the lock. */
static struct address_count **find(struct addresses *addresses, const struct in6_addr *address)
{
	struct span bytes = {(const char *)address, sizeof(*address)};
	struct address_count **at =
		&addresses->buckets[hash_bytes(addresses->seed, bytes) % BUCKETS];

	while (*at != NULL && memcmp(&(*at)->address, address, sizeof(*address)) != 0)
		at = &(*at)->next;
	return at;
}

bool addresses_enter(struct addresses *addresses, const struct in6_addr *address)
{
	struct address_count **at;
	bool entered = false;

	pthread_mutex_lock(&addresses->lock);
	at = find(addresses, address);
	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at != NULL)
			(*at)->address = *address;
	}
	if (*at != NULL && (*at)->count < addresses->most) {
		(*at)->count++;
		entered = true;
	}
	pthread_mutex_unlock(&addresses->lock);
	return entered;
}

void addresses_leave(struct addresses *addresses, const struct in6_addr *address)
{
	struct address_count **at, *count;

	pthread_mutex_lock(&addresses->lock);
	at = find(addresses, address);
	count = *at;
	assert(count != NULL && count->count > 0);
	if (--count->count == 0) {
		*at = count->next;
		free(count);
	}
	pthread_mutex_unlock(&addresses->lock);
}
