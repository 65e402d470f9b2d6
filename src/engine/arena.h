/* SPDX-License-Identifier: MIT */
/* Memory for the segments of the transmissions between two submissions. */
#ifndef SLUICE_SRC_ENGINE_ARENA_H
#define SLUICE_SRC_ENGINE_ARENA_H

#include <stdint.h>
#include <sys/uio.h>

#define SLUICE__SEGMENTS_MAX 1024u /* in one sendmsg: the kernel's UIO_MAXIOV */
#define SLUICE__ARENA 4096u        /* segments between two submissions */

struct sluice__prefilled;

struct sluice__arena {
	struct iovec segments[SLUICE__ARENA];
	uint32_t used;
	struct sluice__prefilled *prefilled; /* segments of the socket that is prefilled */
};

#endif
