/* SPDX-License-Identifier: MIT */
/*
 * Threads for file lookups of one engine that might block on a disk. They are started on demand, up
 * to a limit. A lookup that hangs (a network file system without its server) occupies its thread:
 * to keep threads for other files, the lookups below one directory may use only a part of them, the
 * smaller the deeper the directory is.
 */
#ifndef SLUICE_COMMAND_SERVE_LOOKUP_THREADS_H
#define SLUICE_COMMAND_SERVE_LOOKUP_THREADS_H

#include "list.h"
#include "serve/file_lookup.h"

struct lookup_threads;
struct sluice_engine;

struct lookup_job {
	struct file_lookup_request
		request;             /* set by the caller; the path lives as long as the job */
	struct lookup_result result; /* read by the handler, which takes it over */
	struct link link;
	struct lookup_threads *threads;
};

/* done runs in the engine's thread, once for each job that was started and not dropped. */
typedef void lookup_done_fn(struct lookup_job *job);

/* Frees a dropped job; runs in any thread, during or after lookup_threads_stop. */
typedef void lookup_drop_fn(struct lookup_job *job);

/* NULL: no memory. */
struct lookup_threads *lookup_threads_create(struct sluice_engine *engine, size_t threads_max,
					     lookup_done_fn *done, lookup_drop_fn *drop);

/*
 * The job is the caller's again when done runs. 0; -EAGAIN: too many are waiting; or -errno: no
 * thread could be started.
 */
int lookup_threads_start(struct lookup_threads *threads, struct lookup_job *job);

/* Jobs that are done, or will be: after lookup_threads_stop, those whose handlers have not run. */
size_t lookup_threads_pending(struct lookup_threads *threads);

/*
 * Drops the waiting jobs, and the running ones if their threads ever return; returns the number of
 * the latter. Once the pending handlers have run, nothing uses the engine any more. No job may be
 * started any more.
 */
size_t lookup_threads_stop(struct lookup_threads *threads);

void lookup_threads_destroy(struct lookup_threads *threads);

#endif
