/* SPDX-License-Identifier: MIT */
#include "core/plan.h"

#include <sluice/engine.h>

#define WAIT_MOST 256u /* completions to wait for */
#define VAIN_MOST 6u   /* then one wait in 64 turns */

uint32_t sluice__plan_wait(const struct sluice__plan_wait *facts, uint32_t armed)
{
	uint32_t count = facts->count > 2 ? facts->count : 2;

	if (!facts->brought || facts->rest || armed < 2)
		return 1;
	return count < armed ? count : armed;
}

/* Twice as many after a wait that was filled; otherwise as many as came. */
void sluice__plan_waited(struct sluice__plan_wait *facts, uint32_t asked, uint32_t brought)
{
	facts->brought = brought;
	if (asked < 2) {
		if (facts->rest && brought)
			facts->rest--;
		return;
	}
	if (brought >= asked)
		facts->count = asked < WAIT_MOST / 2 ? 2 * asked : WAIT_MOST;
	else
		facts->count = brought;
	if (brought > 1) {
		facts->vain = 0;
		return;
	}
	if (facts->vain < VAIN_MOST)
		facts->vain++;
	facts->rest = 1u << facts->vain;
}

/* From this size on, two splice(2) calls cost less than sendfile(2)'s overhead for every 64 KiB. */
#define SPLICE_MIN (512u << 10)

/*
 * If something follows a file, sendfile needs the cork, asked for, set and removed, and a send more
 * for what follows: four system calls, which a read and one vectored send for all do not need.
 */
#define READ_FOLLOWED 4

static bool is_small(const struct sluice__plan_file *facts)
{
	return facts->count <= facts->read_bytes ||
	       (facts->followed && (facts->count - 1) / READ_FOLLOWED < facts->read_bytes);
}

/*
 * sendfile is the fastest for data in the page cache, but it is a system call of its own: up to
 * about 2 KiB, a read and one vectored send together with the header are cheaper. A file by itself,
 * however small, gains nothing from being read first.
 */
int sluice__plan_file(const struct sluice__plan_file *facts)
{
	if (facts->copy || facts->way == SLUICE_FILE_WAY_READ)
		return SLUICE__PLAN_READ;
	if (facts->way == SLUICE_FILE_WAY_SPLICE_RING && facts->ring)
		return SLUICE__PLAN_SPLICE_RING;
	if (facts->way == SLUICE_FILE_WAY_SPLICE || facts->way == SLUICE_FILE_WAY_SPLICE_RING)
		return SLUICE__PLAN_SPLICE;
	if (!facts->sendfile)
		return SLUICE__PLAN_READ;
	if (facts->way == SLUICE_FILE_WAY_SENDFILE)
		return SLUICE__PLAN_SENDFILE;
	if (facts->joins_memory && is_small(facts))
		return SLUICE__PLAN_READ;
	return facts->count >= SPLICE_MIN ? SLUICE__PLAN_SPLICE : SLUICE__PLAN_SENDFILE;
}
