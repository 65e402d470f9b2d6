/* SPDX-License-Identifier: MIT */
#include "tlsprobe.h"

struct sluice_probe_capability tlsprobe(char *text, size_t size)
{
	return (struct sluice_probe_capability){
		.name = "kernel-tls",
		.description = "the kernel encrypts TLS; this sluice was built without TLS",
	};
}
