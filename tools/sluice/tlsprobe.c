/* SPDX-License-Identifier: MIT */
#include "tlsprobe.h"

#include <sluice/tls.h>
#include <stdio.h>
#include <string.h>

struct sluice_probe_capability tlsprobe(char *text, size_t size)
{
	struct sluice_tls_probe probe = {.size = sizeof(probe)};
	int error = sluice_tls_probe(&probe);

	snprintf(text, size, "the kernel encrypts TLS by default; without it %s does",
		 error == 0 ? probe.openssl : "OpenSSL");
	return (struct sluice_probe_capability){
		.available = error == 0 && probe.kernel,
		.used = error == 0 && probe.kernel,
		.native_error = error != 0 ? -error : probe.kernel_error,
		.name = "kernel-tls",
		.description = text,
	};
}

bool tlsprobe_has_way(uint64_t way, char *text, size_t size)
{
	struct sluice_tls_probe probe = {.size = sizeof(probe)};
	int error = way == SLUICE_TLS_WAY_KERNEL ? sluice_tls_probe(&probe) : 0;

	if (way != SLUICE_TLS_WAY_KERNEL || (error == 0 && probe.kernel))
		return true;
	snprintf(text, size, "the kernel cannot encrypt TLS with %s (%s)",
		 error == 0 ? probe.openssl : "OpenSSL",
		 strerror(error != 0 ? -error : probe.kernel_error));
	return false;
}
