/* SPDX-License-Identifier: MIT */
/* The result of a record: stored on completion, published by the starting call or by deliver.c. */
#include "engine/result.h"

#include <errno.h>

#include "base/assert.h"
#include "base/wheel.h"
#include "core/record.h"
#include "core/record_list.h"
#include "engine/owner.h"
#include "engine/packets_pool.h"
#include "engine/state.h"

void sluice__finish(struct sluice_engine *engine, struct sluice_args *args, int32_t error,
		    int32_t native, uint64_t bytes)
{
	sluice__assert_owner(engine);
	sluice__assert(sluice__record_owner(args) & SLUICE__IN_PROGRESS);
	sluice__record_result(args, error, native, bytes);
	sluice__chain_add(&engine->done, args);
}

void sluice__finalize_result(struct sluice_engine *engine, struct sluice_args *args)
{
	uint32_t op_flags = args->run.op_flags;

	sluice__assert_owner(engine);
	if (op_flags & SLUICE__OP_DEADLINE)
		sluice__wheel_disarm(&engine->deadlines, sluice__record_timer(args));
	if (op_flags & SLUICE__OP_PACKETS)
		sluice__packets_close(engine, args->rare.side);
	args->rare.side = NULL;
	args->error = SLUICE_ERROR_SUCCESS;
	args->native_error = 0;
	args->bytes_transferred = args->run.total;
	if (op_flags & SLUICE__OP_HAS_RESULT) {
		args->error = (int32_t)(args->rare.segment_offset >> 32);
		args->native_error = (int32_t)args->rare.segment_offset;
		args->bytes_transferred = args->run.sent;
	}
	args->run.sent = 0;
	args->rare.segment_index = 0;
	args->rare.thread = 0;
	args->rare.segment_offset = 0;
	args->run.op_flags = op_flags & SLUICE__OP_LIST;
}

int sluice__end_at_once(struct sluice_engine *engine, struct sluice_args *args, bool may_finish,
			int32_t error, int32_t native, uint64_t bytes)
{
	sluice__assert_owner(engine);
	if (!may_finish) {
		sluice__finish(engine, args, error, native, bytes);
		return 1;
	}
	sluice__record_result(args, error, native, bytes);
	return sluice__finished(engine, args);
}

void sluice__finish_cancelled(struct sluice__chain *done, struct sluice_args *args)
{
	bool overdue = args->run.op_flags & SLUICE__OP_OVERDUE;

	sluice__record_result(args,
			      overdue ? SLUICE_ERROR_TIMED_OUT : SLUICE_ERROR_OPERATION_ABORTED,
			      overdue ? ETIMEDOUT : ECANCELED, args->run.sent);
	sluice__chain_add(done, args);
}
