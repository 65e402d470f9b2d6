/* SPDX-License-Identifier: MIT */
#include "tlsprobe.h"

#include <sluice/tls.h>
#include <stdio.h>

struct sluice_probe_capability tlsprobe(char *text, size_t size)
{
	struct sluice_tls_probe probe = {.size = sizeof(probe)};
	int error = sluice_tls_probe(&probe);

	snprintf(text, size, "the kernel encrypts TLS; without it %s does",
		 error == 0 ? probe.openssl : "OpenSSL");
	return (struct sluice_probe_capability){
		.available = error == 0 && probe.kernel,
		.used = error == 0 && probe.kernel,
		.native_error = error != 0 ? -error : probe.kernel_error,
		.name = "kernel-tls",
		.description = text,
	};
}
