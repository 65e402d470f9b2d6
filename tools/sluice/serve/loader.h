/* SPDX-License-Identifier: MIT */
/*
 * Threads that look at files for one engine, where the look might wait for a disk. They are started
 * when they are needed, up to a bound. A look that hangs (a network file system without its server)
 * occupies its thread: so that some are left for the other files, the looks below one directory may
 * occupy only a part of the threads, the smaller the deeper the directory lies.
 */
#ifndef SLUICE_COMMAND_SERVE_LOADER_H
#define SLUICE_COMMAND_SERVE_LOADER_H

#include "list.h"
#include "serve/load.h"

struct loader;
struct sluice_engine;

struct load_job {
	struct load_request request; /* set by you; the path lives as long as the job */
	struct loaded loaded;        /* read by you in the handler, which takes it over */
	struct link link;
	struct loader *loader;
};

/* done runs in the engine's thread, once for each job that was started and not dropped. */
typedef void load_done_fn(struct load_job *job);

/* Frees a job that will not be done; runs in any thread, during or after loader_stop. */
typedef void load_drop_fn(struct load_job *job);

/* NULL: no memory. */
struct loader *loader_create(struct sluice_engine *engine, size_t threads_max, load_done_fn *done,
			     load_drop_fn *drop);

/*
 * The job is yours again when done runs. 0; -EAGAIN: too many wait already; or -errno, when no
 * thread can be had.
 */
int loader_start(struct loader *loader, struct load_job *job);

/* Jobs that are done, or will be: after loader_stop those whose handlers are still to run. */
size_t loader_pending(struct loader *loader);

/*
 * Drops the jobs that wait, and those that are being looked at when their threads come back, if
 * ever; returns how many these are. Nothing uses the engine any more once the pending handlers have
 * run. No job may be started any more.
 */
size_t loader_stop(struct loader *loader);

void loader_destroy(struct loader *loader);

#endif
