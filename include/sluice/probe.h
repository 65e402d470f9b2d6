/* SPDX-License-Identifier: MIT */
/* What this kernel offers, what an engine would use, and why not the rest. */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One capability. The strings are the library's and live as long as it. */
struct sluice_probe_capability {
	uint32_t bit;            /* SLUICE_CAPABILITY_* */
	uint32_t available;      /* not 0: the kernel has it */
	uint32_t used;           /* not 0: and an engine with the default options uses it */
	int32_t native_error;    /* where it is not available: the errno that told, or 0 */
	const char *name;        /* as in SLUICE_DISABLE */
	const char *description; /* what it is for, and the kernel that brought it */
};

#define SLUICE_PROBE_CAPABILITIES 32

struct sluice_probe {
	size_t size;      /* set by you: sizeof this */
	uint32_t backend; /* the one that AUTO takes here: SLUICE_BACKEND_* */
	uint32_t capability_count;
	char backend_reason[160]; /* why not the ring; "" where it is the ring */
	uint32_t record_bytes;    /* of a struct sluice_args */
	uint32_t socket_bytes;    /* of an idle socket in the engine */
	uint32_t engine_bytes;    /* of an engine, without its rings and buffers */
	uint32_t segments_max;    /* in one transmission */
	uint32_t ring_entries;    /* that the kernel agreed to; 0 without a ring */
	uint32_t descriptors_max; /* RLIMIT_NOFILE, soft */
	uint64_t memlock_bytes;   /* RLIMIT_MEMLOCK, soft */
	struct sluice_probe_capability capabilities[SLUICE_PROBE_CAPABILITIES];
	/* Measured now, in nanoseconds: what SLUICE_TRANSMIT_WAY_AUTO chooses by. */
	uint32_t call_ns;  /* a send(2) that finds nothing to do */
	uint32_t enter_ns; /* an io_uring_enter(2), without its entries; 0 without a ring */
	uint32_t entry_ns; /* an empty entry of the ring; 0 without a ring */
	uint32_t reserved;
};

/*
 * Tries everything on the running kernel and fills in the first probe->size bytes. Heeds
 * SLUICE_BACKEND and SLUICE_DISABLE, as an engine does. Any thread. 0; -EINVAL; -ENOMEM, -EMFILE.
 * Since 0.1.
 */
int sluice_probe(struct sluice_probe *probe);

/* The capability's name ("multishot-receive"), NULL for none. Any thread. Since 0.1. */
const char *sluice_capability_name(uint32_t bit);

#ifdef __cplusplus
}
#endif
#endif
