/* SPDX-License-Identifier: MIT */
/* A thread that reads cold files, which would block the engine's thread. Started on first use. */
#ifndef SLUICE_SRC_BACKEND_PREFETCH_THREAD_H
#define SLUICE_SRC_BACKEND_PREFETCH_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_engine;
struct sluice__completion;
struct sluice__request;
struct sluice__prefetcher;

/* Queues a FETCH request. Creates the thread if *prefetcher is NULL. 0 or -errno. */
int sluice__prefetcher_start(struct sluice_engine *engine, struct sluice__prefetcher **prefetcher,
			     struct sluice__request *request);
/* Up to max finished requests. */
uint32_t sluice__prefetcher_reap(struct sluice__prefetcher *prefetcher,
				 struct sluice__completion *completions, uint32_t max);
/* Stops the thread; requests that it has not started are dropped. */
void sluice__prefetcher_stop(struct sluice__prefetcher *prefetcher);

#endif
