/* SPDX-License-Identifier: MIT */
/* Features of the running kernel: which are available, which an engine would use, and why not. */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One capability. The strings belong to the library and are valid as long as it is loaded. */
struct sluice_probe_capability {
	uint32_t bit;            /* SLUICE_CAPABILITY_* */
	uint32_t available;      /* not 0: the kernel supports it */
	uint32_t used;           /* not 0: an engine with default options uses it */
	int32_t native_error;    /* errno of the probe if it is not available, or 0 */
	const char *name;        /* as in SLUICE_DISABLE */
	const char *description; /* its purpose, and the kernel version that introduced it */
};

#define SLUICE_PROBE_CAPABILITIES 32

struct sluice_probe {
	size_t size;      /* set by you: sizeof this */
	uint32_t backend; /* SLUICE_BACKEND_* that AUTO chooses here */
	uint32_t capability_count;
	char backend_reason[160]; /* why io_uring is not used; "" if it is */
	uint32_t record_bytes;    /* sizeof(struct sluice_args) */
	uint32_t socket_bytes;    /* memory of an idle socket */
	uint32_t engine_bytes;    /* memory of an engine, without rings and buffers */
	uint32_t segments_max;    /* most segments in one transmission */
	uint32_t ring_entries;    /* ring size that the kernel accepts; 0 without a ring */
	uint32_t descriptors_max; /* RLIMIT_NOFILE, soft */
	uint64_t memlock_bytes;   /* RLIMIT_MEMLOCK, soft */
	struct sluice_probe_capability capabilities[SLUICE_PROBE_CAPABILITIES];
	/* Inputs of SLUICE_TRANSMIT_WAY_AUTO, measured by this call, in nanoseconds. */
	uint32_t call_ns;  /* cost of a send(2) that sends nothing */
	uint32_t enter_ns; /* cost of an io_uring_enter(2), without its entries; 0 without a ring */
	uint32_t entry_ns; /* cost of an empty ring entry; 0 without a ring */
	uint32_t reserved;
};

/*
 * Probes the running kernel and fills in the first probe->size bytes. Respects SLUICE_BACKEND and
 * SLUICE_DISABLE, as an engine does. Any thread. Returns 0; -EINVAL; -ENOMEM, -EMFILE. Since 0.1.
 */
int sluice_probe(struct sluice_probe *probe);

/* Returns a capability's name ("multishot-receive"), NULL for none. Any thread. Since 0.1. */
const char *sluice_capability_name(uint32_t bit);

#ifdef __cplusplus
}
#endif
#endif
