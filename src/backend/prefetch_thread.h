/* SPDX-License-Identifier: MIT */
/* One thread, started when it is first needed, for what would block the engine's: cold files. */
#ifndef SLUICE_SRC_BACKEND_PREFETCH_THREAD_H
#define SLUICE_SRC_BACKEND_PREFETCH_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_engine;
struct sluice__completion;
struct sluice__request;
struct sluice__workers;

/* A FETCH request; *workers is made when it is NULL. 0 or -errno. */
int sluice__workers_start(struct sluice_engine *engine, struct sluice__workers **workers,
			  struct sluice__request *request);
/* What is finished, up to max. */
uint32_t sluice__workers_reap(struct sluice__workers *workers,
			      struct sluice__completion *completions, uint32_t max);
/* Ends the thread; what it has not begun is dropped. */
void sluice__workers_stop(struct sluice__workers *workers);

#endif
