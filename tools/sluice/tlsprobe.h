/* SPDX-License-Identifier: MIT */
/* What `sluice probe` reports about TLS; tlsprobe_none.c is for a build without libsluice-tls. */
#ifndef SLUICE_COMMAND_TLSPROBE_H
#define SLUICE_COMMAND_TLSPROBE_H

#include <sluice/probe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kernel TLS as a capability; text receives its description. */
struct sluice_probe_capability tlsprobe(char *text, size_t size);

/* Whether sessions can be encrypted in this way (SLUICE_TLS_WAY_*); if not, text says why. */
bool tlsprobe_has_way(uint64_t way, char *text, size_t size);

#endif
