/* SPDX-License-Identifier: MIT */
/* What `sluice probe` says of TLS; tlsprobe_none.c is for a build without libsluice-tls. */
#ifndef SLUICE_COMMAND_TLSPROBE_H
#define SLUICE_COMMAND_TLSPROBE_H

#include <sluice/probe.h>
#include <stddef.h>

/* Whether the kernel encrypts, as a capability; text is room for its description. */
struct sluice_probe_capability tlsprobe(char *text, size_t size);

#endif
