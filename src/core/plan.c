/* SPDX-License-Identifier: MIT */
#include "core/plan.h"

#include <sluice/engine.h>

/*
 * On loopback nearly all of a send is TCP's own work: an entry of the ring and a send(2) of its own
 * cost the same within a few percent at any number of sockets (docs/performance.md), and the inline
 * way settles at once. So the ring is for what would block, where it saves the wait for
 * writability, and for who asks for it.
 */
int sluice__plan_memory(const struct sluice__plan_memory *facts)
{
	if (facts->zerocopy)
		return SLUICE__PLAN_ZEROCOPY;
	if (facts->full)
		return SLUICE__PLAN_SUBMIT;
	if (facts->ring && facts->way == SLUICE_TRANSMIT_WAY_RING)
		return SLUICE__PLAN_SUBMIT;
	return SLUICE__PLAN_INLINE;
}

/* From here on the pipe's two calls cost less than what sendfile does for every 64 KiB. */
#define LARGE (512u << 10)

/*
 * sendfile beats everything for what is in the page cache, but it is a call of its own: up to about
 * 2 KiB a read and one vectored send with the header are cheaper. Alone, even a small file gains
 * nothing from being read first.
 */
int sluice__plan_file(const struct sluice__plan_file *facts)
{
	if (facts->copy || facts->way == SLUICE_FILE_WAY_READ)
		return SLUICE__PLAN_READ;
	if (facts->way == SLUICE_FILE_WAY_SPLICE)
		return SLUICE__PLAN_SPLICE;
	if (!facts->sendfile)
		return SLUICE__PLAN_READ;
	if (facts->way == SLUICE_FILE_WAY_SENDFILE)
		return SLUICE__PLAN_SENDFILE;
	if (facts->joins_memory && facts->count <= facts->read_bytes)
		return SLUICE__PLAN_READ;
	return facts->count >= LARGE ? SLUICE__PLAN_SPLICE : SLUICE__PLAN_SENDFILE;
}
