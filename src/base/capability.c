/* SPDX-License-Identifier: MIT */
#include "base/capability.h"

#include <stddef.h>
#include <string.h>

#include <sluice/engine.h>
#include <sluice/probe.h>

static const struct sluice__capability capabilities[] = {
	{SLUICE_CAPABILITY_RING, "ring", "io_uring itself (5.1)"},
	{SLUICE_CAPABILITY_SINGLE_ISSUER, "single-issuer",
	 "only one thread submits to the ring (6.0)"},
	{SLUICE_CAPABILITY_DEFER_TASKRUN, "defer-taskrun",
	 "completions are posted when the engine reaps them (6.1)"},
	{SLUICE_CAPABILITY_COOP_TASKRUN, "coop-taskrun",
	 "completions do not interrupt the thread; used without defer-taskrun (5.19)"},
	{SLUICE_CAPABILITY_SUBMIT_ALL, "submit-all",
	 "a failed entry does not stop the submission of the others (5.18)"},
	{SLUICE_CAPABILITY_REGISTERED_RING, "registered-ring",
	 "io_uring_enter without a descriptor lookup (5.18)"},
	{SLUICE_CAPABILITY_MULTISHOT_ACCEPT, "multishot-accept",
	 "one entry accepts every connection (5.19)"},
	{SLUICE_CAPABILITY_MULTISHOT_RECEIVE, "multishot-receive",
	 "one entry receives repeatedly (6.0)"},
	{SLUICE_CAPABILITY_BUFFER_RING, "buffer-ring",
	 "the kernel picks receive buffers from a shared ring (5.19)"},
	{SLUICE_CAPABILITY_SENDFILE, "sendfile", "files go from the page cache to the socket"},
	{SLUICE_CAPABILITY_CACHE_LOOK, "cache-look",
	 "preadv2(RWF_NOWAIT) reports whether a file is in the page cache (4.14)"},
	{SLUICE_CAPABILITY_RING_FETCH, "ring-fetch",
	 "the ring prefetches cold files, instead of a thread (5.6)"},
	{SLUICE_CAPABILITY_EPOLL_NANOSECONDS, "epoll-nanoseconds",
	 "epoll timeouts in nanoseconds: epoll_pwait2 (5.11)"},
	{SLUICE_CAPABILITY_MULTISHOT_LIMIT, "multishot-limit",
	 "a byte limit on multishot receives; without it, single receives (6.16)"},
	{SLUICE_CAPABILITY_ZEROCOPY, "zerocopy",
	 "zero-copy TCP sends that report whether the kernel copied (6.2)"},
	{SLUICE_CAPABILITY_REGISTERED_MEMORY, "registered-memory",
	 "memory pinned once for many zero-copy sends (6.2)"},
	{SLUICE_CAPABILITY_REGISTERED_LISTS, "registered-lists",
	 "registered memory for vectored sends (6.15)"},
	{SLUICE_CAPABILITY_UDP_GSO, "udp-gso",
	 "one send for many datagrams of one size, segmented by the kernel (4.18)"},
	{SLUICE_CAPABILITY_SUBMISSION_THREAD, "submission-thread",
	 "SQPOLL: a kernel thread takes submissions, if the engine enables it (5.11)"},
	{SLUICE_CAPABILITY_EXT_ARG, "ext-arg",
	 "io_uring_enter takes a timeout, which saves a timeout entry (5.11)"},
	{SLUICE_CAPABILITY_MULTISHOT_POLL, "multishot-poll",
	 "one entry reports every wake-up by another thread (5.13)"},
	{SLUICE_CAPABILITY_NO_IOWAIT, "no-iowait",
	 "an idle engine is not accounted as I/O wait (6.15)"},
	{SLUICE_CAPABILITY_EVENT_REPEATS, "event-repeats",
	 "every completion signals the registered eventfd (not in 6.12.115 to 6.12.118)"},
	{SLUICE_CAPABILITY_UDP_GSO_128, "udp-gso-128",
	 "such a send takes 128 datagrams instead of 64 (6.9)"},
	{SLUICE_CAPABILITY_RING_SPLICE, "ring-splice",
	 "the ring sends files through pipes, if the engine's file way asks for it (5.7)"},
};

#define COUNT (sizeof capabilities / sizeof *capabilities)

const struct sluice__capability *sluice__capability(uint32_t index)
{
	return index < COUNT ? &capabilities[index] : NULL;
}

const char *sluice_capability_name(uint32_t bit)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (capabilities[i].bit == bit)
			return capabilities[i].name;
	}
	return NULL;
}

uint32_t sluice__capabilities_usable(uint32_t bits)
{
	static const struct {
		uint32_t needed, by;
	} needs[] = {
		{SLUICE_CAPABILITY_SINGLE_ISSUER, SLUICE_CAPABILITY_DEFER_TASKRUN},
		{SLUICE_CAPABILITY_UDP_GSO, SLUICE_CAPABILITY_UDP_GSO_128},
		{SLUICE_CAPABILITY_BUFFER_RING, SLUICE_CAPABILITY_MULTISHOT_RECEIVE},
		{SLUICE_CAPABILITY_MULTISHOT_RECEIVE, SLUICE_CAPABILITY_MULTISHOT_LIMIT},
		{SLUICE_CAPABILITY_ZEROCOPY, SLUICE_CAPABILITY_REGISTERED_MEMORY},
		{SLUICE_CAPABILITY_REGISTERED_MEMORY, SLUICE_CAPABILITY_REGISTERED_LISTS},
	};

	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
		if (!(bits & needs[i].needed))
			bits &= ~needs[i].by;
	}
	return bits;
}

static uint32_t capability_named(const char *name, size_t length)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (strlen(capabilities[i].name) == length &&
		    strncmp(capabilities[i].name, name, length) == 0)
			return capabilities[i].bit;
	}
	return 0;
}

uint32_t sluice__capabilities_named(const char *list)
{
	uint32_t bits = 0;

	while (list && *list) {
		size_t length = strcspn(list, ",");

		bits |= capability_named(list, length);
		list += length;
		list += *list == ',';
	}
	return bits;
}
