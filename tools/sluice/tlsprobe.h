/* SPDX-License-Identifier: MIT */
/* What `sluice probe` reports about TLS; tlsprobe_none.c is for a build without libsluice-tls. */
#ifndef SLUICE_COMMAND_TLSPROBE_H
#define SLUICE_COMMAND_TLSPROBE_H

#include <sluice/probe.h>
#include <stddef.h>

/* Kernel TLS as a capability; text receives its description. */
struct sluice_probe_capability tlsprobe(char *text, size_t size);

#endif
