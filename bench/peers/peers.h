/* SPDX-License-Identifier: MIT */
/* All peers, ours first. Each stands in a file of its own. */
#ifndef BENCH_PEERS_PEERS_H
#define BENCH_PEERS_PEERS_H

#include "harness/runner.h"

/* Ends with NULL. Where a name stands twice, each does other kinds of loads. */
extern const struct peer *const peers[];

/* A peer of that name, or NULL. */
const struct peer *peers_find(const char *name);

/* Ours, which everything is compared with: the one called "sluice" that does such loads. */
const struct peer *peers_reference(enum load_kind kind);

/* Whether a peer before this one has its name already. */
bool peers_named_before(size_t index);

#endif
