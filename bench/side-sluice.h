/* SPDX-License-Identifier: MIT */
/* What the sides of ours share: an engine, and how errors end the program. */
#ifndef BENCH_SIDE_SLUICE_H
#define BENCH_SIDE_SLUICE_H

#include <sluice/sluice.h>

#include "side.h"

/* Ends the program after an error. */
void side_sluice_check(int error, const char *what);

/* The options of the load, with this backend, if it is not AUTO, in the place of theirs. */
struct sluice_engine *side_sluice_engine(const struct load *load, uint32_t backend);

/* The same on the ring, with the kernel's submission thread. */
struct sluice_engine *side_sluice_engine_with_thread(const struct load *load);
const char *side_sluice_lacks_thread(const struct load *load);

/* For the peers sluice-uring and sluice-epoll: each is there where the reference is the other. */
bool side_sluice_suits_uring(const struct load *load);
bool side_sluice_suits_epoll(const struct load *load);
const char *side_sluice_lacks_uring(const struct load *load);

/*
 * The three peers of ours that take these loads: with the reference's options, and each backend.
 * create_on makes the side: struct side *create_on(const struct load *load, uint32_t backend).
 */
#define SIDE_SLUICE_PEERS(ours, of_loads, create_on)                                       \
	static struct side *create(const struct load *load)                                \
	{                                                                                  \
		return create_on(load, SLUICE_BACKEND_AUTO);                               \
	}                                                                                  \
	static struct side *create_uring(const struct load *load)                          \
	{                                                                                  \
		return create_on(load, SLUICE_BACKEND_URING);                              \
	}                                                                                  \
	static struct side *create_epoll(const struct load *load)                          \
	{                                                                                  \
		return create_on(load, SLUICE_BACKEND_EPOLL);                              \
	}                                                                                  \
	const struct peer ours = {                                                         \
		.name = "sluice", .title = "sluice", .loads = of_loads, .create = create}; \
	const struct peer ours##_uring = {.name = "sluice-uring",                          \
					  .title = "sluice on io_uring",                   \
					  .loads = of_loads,                               \
					  .suits = side_sluice_suits_uring,                \
					  .lacks = side_sluice_lacks_uring,                \
					  .create = create_uring};                         \
	const struct peer ours##_epoll = {.name = "sluice-epoll",                          \
					  .title = "sluice on epoll",                      \
					  .loads = of_loads,                               \
					  .suits = side_sluice_suits_epoll,                \
					  .create = create_epoll}

#endif
