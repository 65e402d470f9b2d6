/* SPDX-License-Identifier: MIT */
/*
 * A thread for calls that can block on a disk: one job at a time, while the engine's thread keeps
 * the connection alive.
 */
#ifndef SLUICE_COMMAND_TRANSFER_WORK_H
#define SLUICE_COMMAND_TRANSFER_WORK_H

#include <pthread.h>
#include <stdbool.h>

struct sluice_engine;

typedef void work_fn(void *token);

/* Initialise with WORK_INITIAL. */
struct work {
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	work_fn *job; /* NULL: none is running */
	void *token;
	struct sluice_engine *engine;
	bool ending;
	bool started; /* the owner's */
	pthread_t thread;
};

#define WORK_INITIAL                                                                   \
	{                                                                              \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
	}

/*
 * Runs the job in the thread, which the first job starts, and wakes the engine when it is done. If
 * no thread can be started, the job runs at once. No other job may be running.
 */
void work_start(struct work *work, struct sluice_engine *engine, work_fn *job, void *token);

bool work_is_over(struct work *work);

/* Waits for the job, if one is running. */
void work_wait(struct work *work);

/* Waits for the job and ends the thread. */
void work_stop(struct work *work);

#endif
