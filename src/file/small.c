/* SPDX-License-Identifier: MIT */
/*
 * Small files are read when they are started, if that does not block, into a pooled block, and sent
 * with their header in one vectored send. Without a free block they are sent like other files.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/libc.h"
#include "core/packets.h"
#include "core/plan.h"
#include "engine/packets_pool.h"
#include "engine/state.h"
#include "file/file.h"

static bool is_small_file(const struct sluice_engine *engine, const struct sluice__packets *packets,
			  const struct sluice__part *part)
{
	return part->kind == SLUICE__PART_FILE &&
	       sluice__file_way(engine, packets, part) == SLUICE__PLAN_READ &&
	       part->count <= SLUICE__BOUNCE_BYTES - packets->bounce_used;
}

/* Reads the part if all of it is in the page cache. */
static bool read_part(struct sluice__packets *packets, struct sluice__part *part)
{
	struct iovec segment = {packets->bounce + packets->bounce_used, part->count};
	ssize_t got = preadv2(part->fd, &segment, 1, (off_t)part->offset, RWF_NOWAIT);

	if (got != (ssize_t)part->count)
		return false;
	part->kind = SLUICE__PART_READ;
	part->base = segment.iov_base;
	packets->bounce_used += (uint32_t)got;
	return true;
}

void sluice__file_read_small(struct sluice_engine *engine, struct sluice__packets *packets)
{
	for (uint32_t i = 0; i < packets->count; i++) {
		struct sluice__part *part = &packets->parts[i];

		if (!is_small_file(engine, packets, part))
			continue;
		if (!packets->bounce)
			packets->bounce = sluice__bounce_take(engine);
		if (!packets->bounce || !read_part(packets, part))
			return;
		__atomic_fetch_add(&engine->statistics.files_read, 1, __ATOMIC_RELAXED);
	}
}
