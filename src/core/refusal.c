/* SPDX-License-Identifier: MIT */
#include "core/refusal.h"

#include <errno.h>

#include "base/assert.h"

bool sluice__refusal_is(int error_number)
{
	switch (error_number) {
	case EINVAL:
	case ENOSYS:
	case EOPNOTSUPP:
	case EPERM:
		return true;
	default:
		return false;
	}
}

bool sluice__refusal_knows(const struct sluice__refusals *refusals, uint64_t device)
{
	for (uint32_t i = 0; i < refusals->count; i++) {
		if (refusals->devices[i] == device)
			return true;
	}
	return false;
}

void sluice__refusal_remember(struct sluice__refusals *refusals, uint64_t device)
{
	sluice__assert(refusals->count <= SLUICE__REFUSALS && refusals->next < SLUICE__REFUSALS);
	if (!device || sluice__refusal_knows(refusals, device))
		return;
	refusals->devices[refusals->next] = device;
	refusals->next = (refusals->next + 1) % SLUICE__REFUSALS;
	if (refusals->count < SLUICE__REFUSALS)
		refusals->count++;
}
