/* SPDX-License-Identifier: MIT */
/* What the sides of ours share: an engine, what it has called, and how errors end the program. */
#ifndef BENCH_SIDE_SLUICE_H
#define BENCH_SIDE_SLUICE_H

#include <sluice/sluice.h>

#include "side.h"

/* Ends the program after an error. */
void side_sluice_check(int error, const char *what);

/* The options of the load, with this backend, if it is not AUTO, in the place of theirs. */
struct sluice_engine *side_sluice_engine(const struct load *load, uint32_t backend);

/* System calls of the engine so far, as its statistics have them. */
uint64_t side_sluice_calls(struct sluice_engine *engine);

/* For the peers sluice-uring and sluice-epoll: each is there where the reference is the other. */
bool side_sluice_suits_uring(const struct load *load);
bool side_sluice_suits_epoll(const struct load *load);
const char *side_sluice_lacks_uring(const struct load *load);

#endif
