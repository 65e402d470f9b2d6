/* SPDX-License-Identifier: MIT */
/*
 * Threads for file lookups of one engine that might block on a disk. They are started on demand, up
 * to a limit. A lookup that hangs (a network file system without its server) occupies its thread:
 * to keep threads for other files, the lookups below one directory may use only a part of them, the
 * smaller the deeper the directory is.
 */
#ifndef SLUICE_COMMAND_SERVE_LOADER_H
#define SLUICE_COMMAND_SERVE_LOADER_H

#include "list.h"
#include "serve/load.h"

struct loader;
struct sluice_engine;

struct load_job {
	struct load_request request; /* set by the caller; the path lives as long as the job */
	struct loaded loaded;        /* read by the handler, which takes it over */
	struct link link;
	struct loader *loader;
};

/* done runs in the engine's thread, once for each job that was started and not dropped. */
typedef void load_done_fn(struct load_job *job);

/* Frees a dropped job; runs in any thread, during or after loader_stop. */
typedef void load_drop_fn(struct load_job *job);

/* NULL: no memory. */
struct loader *loader_create(struct sluice_engine *engine, size_t threads_max, load_done_fn *done,
			     load_drop_fn *drop);

/*
 * The job is the caller's again when done runs. 0; -EAGAIN: too many are waiting; or -errno: no
 * thread could be started.
 */
int loader_start(struct loader *loader, struct load_job *job);

/* Jobs that are done, or will be: after loader_stop, those whose handlers have not run. */
size_t loader_pending(struct loader *loader);

/*
 * Drops the waiting jobs, and the running ones if their threads ever return; returns the number of
 * the latter. Once the pending handlers have run, nothing uses the engine any more. No job may be
 * started any more.
 */
size_t loader_stop(struct loader *loader);

void loader_destroy(struct loader *loader);

#endif
