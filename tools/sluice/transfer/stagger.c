/* SPDX-License-Identifier: MIT */
#include "transfer/stagger.h"

#include <netdb.h>

size_t stagger_order(const struct addrinfo *found, const struct addrinfo **ret_addresses,
		     size_t most)
{
	const struct addrinfo *first = found, *other = found;
	bool take_first = true;
	size_t count = 0;

	while (count < most && (first != NULL || other != NULL)) {
		while (first != NULL && first->ai_family != found->ai_family)
			first = first->ai_next;
		while (other != NULL && other->ai_family == found->ai_family)
			other = other->ai_next;
		if (first != NULL && (take_first || other == NULL)) {
			ret_addresses[count++] = first;
			first = first->ai_next;
		} else if (other != NULL) {
			ret_addresses[count++] = other;
			other = other->ai_next;
		}
		take_first = !take_first;
	}
	return count;
}

static bool is_any_left(const struct stagger *stagger)
{
	return stagger->begun < stagger->count;
}

bool stagger_is_due(const struct stagger *stagger, uint64_t now_ns)
{
	return is_any_left(stagger) && now_ns >= stagger->next_ns;
}

size_t stagger_begin(struct stagger *stagger, uint64_t now_ns)
{
	stagger->next_ns = now_ns + STAGGER_NS;
	return stagger->begun++;
}

void stagger_failed(struct stagger *stagger)
{
	stagger->next_ns = 0;
}

int64_t stagger_wait(const struct stagger *stagger, uint64_t now_ns)
{
	if (!is_any_left(stagger))
		return -1;
	return stagger->next_ns > now_ns ? (int64_t)(stagger->next_ns - now_ns) : 0;
}
