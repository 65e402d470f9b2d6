/* SPDX-License-Identifier: MIT */
/* One thread, started when it is first needed, for what would block the engine's: cold files. */
#ifndef SLUICE_SRC_WORKERS_H
#define SLUICE_SRC_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_engine;
struct sluice__request;
struct sluice__workers;

/* FETCH and SPLICE requests; *workers is made when it is NULL. 0 or -errno. */
int sluice__workers_start(struct sluice_engine *engine, struct sluice__workers **workers,
			  struct sluice__request *request);
/* Hands what is finished to sluice__poller_complete. */
void sluice__workers_reap(struct sluice__workers *workers, struct sluice_engine *engine);
/* Ends the thread; what it has not begun is dropped. */
void sluice__workers_stop(struct sluice__workers *workers);

/* epoll.c: false without memory; to be tried again. */
bool sluice__poller_complete(struct sluice_engine *engine, struct sluice__request *request,
			     int32_t result);

#endif
