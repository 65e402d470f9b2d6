/* SPDX-License-Identifier: MIT */
/* The operation table: how each operation begins, on the engine's thread, and is cancelled. */
#include <errno.h>

#include "base/assert.h"
#include "core/record.h"
#include "engine/owner.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/state.h"
#include "recv/recv.h"
#include "send/send.h"
#include "socket/socket.h"

struct operation {
	/* Returns 0: completed inside the call; 1: its handler runs later. */
	int (*begin)(struct sluice_socket *socket, struct sluice_args *args, bool may_finish);
	/* For a record in its queue that was cancelled or whose deadline expired. */
	void (*cancel)(struct sluice_socket *socket, struct sluice_args *args);
};

static const struct operation sending = {sluice__send_begin, sluice__send_cancel};
static const struct operation receiving = {sluice__receive_begin, sluice__receive_cancel};
static const struct operation connecting = {sluice__connect_begin, sluice__connect_cancel_record};

static const struct operation *const operations[] = {
	[SLUICE_OPERATION_ACCEPT] = &receiving,   [SLUICE_OPERATION_CONNECT] = &connecting,
	[SLUICE_OPERATION_DISCONNECT] = &sending, /* takes its place in the send queue */
	[SLUICE_OPERATION_RECEIVE] = &receiving,  [SLUICE_OPERATION_RECEIVE_FROM] = &receiving,
	[SLUICE_OPERATION_SEND] = &sending,       [SLUICE_OPERATION_SEND_PACKETS] = &sending,
	[SLUICE_OPERATION_SEND_TO] = &sending,
};

int sluice__operation_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish)
{
	struct sluice_engine *engine = socket->engine;

	sluice__assert_owner(socket->engine);
	sluice__assert(sluice__record_socket(args) == socket);
	engine->statistics.records_started++;
	if (unlikely(sluice__socket_is_closing(socket))) {
		if (args->last_operation == SLUICE_OPERATION_CONNECT)
			sluice__connect_withdraw(socket);
		sluice__finish(engine, args, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED, 0);
		return 1;
	}
	return operations[args->last_operation]->begin(socket, args, may_finish);
}

void sluice__operation_cancel(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert_owner(socket->engine);
	operations[args->last_operation]->cancel(socket, args);
}
