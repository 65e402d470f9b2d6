/* SPDX-License-Identifier: MIT */
/* All peers, sluice first. Each has its own file. */
#ifndef BENCH_PEERS_PEERS_H
#define BENCH_PEERS_PEERS_H

#include "harness/runner.h"

/* Ends with NULL. If a name occurs twice, each entry supports other kinds of loads. */
extern const struct peer *const peers[];

/* A peer of that name, or NULL. */
const struct peer *peers_find(const char *name);

/*
 * The reference, with which everything is compared: the peer called "sluice" that supports such
 * loads.
 */
const struct peer *peers_reference(enum load_kind kind);

/* Whether a previous peer has its name. */
bool peers_named_before(size_t index);

#endif
