/* SPDX-License-Identifier: MIT */
#include "tlsprobe.h"

#include <stdio.h>

struct sluice_probe_capability tlsprobe(char *text, size_t size)
{
	return (struct sluice_probe_capability){
		.name = "kernel-tls",
		.description = "the kernel encrypts TLS; this sluice was built without TLS",
	};
}

bool tlsprobe_has_way(uint64_t way, char *text, size_t size)
{
	snprintf(text, size, "this sluice was built without TLS");
	return false;
}
