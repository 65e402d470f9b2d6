/* SPDX-License-Identifier: MIT */
/*
 * A thread that looks at files for one engine, where the look might wait for a disk. It is started
 * by the first job.
 */
#ifndef SLUICE_COMMAND_LOADER_H
#define SLUICE_COMMAND_LOADER_H

#include "load.h"

struct loader;
struct sluice_engine;

struct load_job {
	struct load_request request; /* set by you; the path is yours until the end */
	void *token;                 /* yours */
	struct loaded loaded;        /* read by you in the handler, which takes it over */
	struct load_job *next;
	struct loader *loader;
};

typedef void load_done_fn(struct load_job *job);

/* done runs in the engine's thread, once for each job that was started. NULL: no memory. */
struct loader *loader_create(struct sluice_engine *engine, load_done_fn *done);

/* The job is yours again when done runs. 0 or -errno, when no thread can be had. */
int loader_start(struct loader *loader, struct load_job *job);

/* Jobs that were started and are not done. */
size_t loader_pending(const struct loader *loader);

/*
 * Ends the thread. It may be on its way out of sluice_post even when no job is pending: stop it
 * before the engine is destroyed. No job may be started any more.
 */
void loader_stop(struct loader *loader);

void loader_destroy(struct loader *loader);

#endif
