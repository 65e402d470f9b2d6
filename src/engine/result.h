/* SPDX-License-Identifier: MIT */
/* The result of a record: stored on completion, published by the starting call or by deliver.c. */
#ifndef SLUICE_SRC_ENGINE_RESULT_H
#define SLUICE_SRC_ENGINE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/record.h"
#include "core/record_list.h"
#include "engine/state.h"

/* Completes a record that is in no queue: adds it to `done`. */
void sluice__finish(struct sluice_engine *engine, struct sluice_args *args, int32_t error,
		    int32_t native, uint64_t bytes);
/* Publishes the result of a record with op_flags, and releases the resources of the operation. */
void sluice__finalize_result(struct sluice_engine *engine, struct sluice_args *args);
/* Adds a cancelled or overdue record that is in no queue to `done`. */
void sluice__finish_cancelled(struct sluice__chain *done, struct sluice_args *args);

/* Writes a success to the public members. */
static inline void sluice__record_publish_success(struct sluice_args *args, uint64_t bytes)
{
	args->error = SLUICE_ERROR_SUCCESS;
	args->bytes_transferred = bytes;
	args->flags = 0;
}

/* Writes the result of a completed record to its public members. */
static inline void sluice__record_publish(struct sluice_engine *engine, struct sluice_args *args)
{
	if (unlikely(args->run.op_flags)) {
		sluice__finalize_result(engine, args);
		args->flags = 0;
	} else {
		sluice__record_publish_success(args, args->run.total);
	}
}

/* Completes the operation inside the starting call: no handler runs, the record is released. 0. */
static inline int sluice__finished(struct sluice_engine *engine, struct sluice_args *args)
{
	sluice__record_publish(engine, args);
	engine->statistics.records_eager++;
	sluice__record_release(args);
	return 0;
}

/* Completes the operation: 0 inside the call, if may_finish; 1 through the handler. */
int sluice__end_at_once(struct sluice_engine *engine, struct sluice_args *args, bool may_finish,
			int32_t error, int32_t native, uint64_t bytes);

#endif
