/* SPDX-License-Identifier: MIT */
#include "core/plan.h"

#include <sluice/engine.h>

/*
 * A SEND of the ring does the work of a send(2), and needs beside it what an empty entry needs, in the
 * kernel and here: the file is looked up, the message prepared, the completion settled. That is
 * about as much again, hence twice. What the ring saves is the call for each socket.
 */
#define ENTRIES 2

bool sluice__plan_by_ring(const struct sluice__plan_turn *facts)
{
	uint64_t calls, entries, enter = facts->costs.enter;

	if (!facts->ring || facts->way != SLUICE_TRANSMIT_WAY_AUTO)
		return facts->ring && facts->way == SLUICE_TRANSMIT_WAY_RING;
	calls = (uint64_t)facts->sockets * facts->costs.call;
	entries = (uint64_t)facts->sockets * facts->costs.entry * ENTRIES;
	/* It is a call like any other: what was measured as less is noise. */
	if (enter < facts->costs.call)
		enter = facts->costs.call;
	if (!facts->entering)
		entries += enter;
	return entries < calls;
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
