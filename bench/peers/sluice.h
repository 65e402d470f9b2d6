/* SPDX-License-Identifier: MIT */
/* Shared by the runners of sluice: an engine, and error handling. */
#ifndef BENCH_PEERS_SLUICE_H
#define BENCH_PEERS_SLUICE_H

#include <sluice/sluice.h>

#include "harness/runner.h"

/* Exits the program after an error. */
void runner_sluice_check(int error, const char *what);

/* The options of the load, with this backend instead of theirs if it is not AUTO. */
struct sluice_engine *runner_sluice_engine(const struct load *load, uint32_t backend);

/* The same on the ring, with the kernel's submission thread. */
struct sluice_engine *runner_sluice_engine_with_thread(const struct load *load);
const char *runner_sluice_lacks_thread(const struct load *load);

/* For the peers sluice-uring and sluice-epoll: each is used if the reference is the other. */
bool runner_sluice_suits_uring(const struct load *load);
bool runner_sluice_suits_epoll(const struct load *load);
const char *runner_sluice_lacks_uring(const struct load *load);

/*
 * The three sluice peers for these loads: with the reference's options, and with each backend.
 * create_on creates the runner: struct runner *create_on(const struct load *load, uint32_t
 * backend).
 */
#define SIDE_SLUICE_PEERS(ours, of_loads, create_on)                                       \
	static struct runner *create(const struct load *load)                              \
	{                                                                                  \
		return create_on(load, SLUICE_BACKEND_AUTO);                               \
	}                                                                                  \
	static struct runner *create_uring(const struct load *load)                        \
	{                                                                                  \
		return create_on(load, SLUICE_BACKEND_URING);                              \
	}                                                                                  \
	static struct runner *create_epoll(const struct load *load)                        \
	{                                                                                  \
		return create_on(load, SLUICE_BACKEND_EPOLL);                              \
	}                                                                                  \
	const struct peer ours = {                                                         \
		.name = "sluice", .title = "sluice", .loads = of_loads, .create = create}; \
	const struct peer ours##_uring = {.name = "sluice-uring",                          \
					  .title = "sluice on io_uring",                   \
					  .loads = of_loads,                               \
					  .suits = runner_sluice_suits_uring,              \
					  .lacks = runner_sluice_lacks_uring,              \
					  .create = create_uring};                         \
	const struct peer ours##_epoll = {.name = "sluice-epoll",                          \
					  .title = "sluice on epoll",                      \
					  .loads = of_loads,                               \
					  .suits = runner_sluice_suits_epoll,              \
					  .create = create_epoll}

#endif
