/* SPDX-License-Identifier: MIT */
/* Starts and cancels requests of a socket, and counts the armed ones: close waits for them. */
#include "engine/request.h"

#include "backend/backend.h"
#include "base/assert.h"
#include "engine/owner.h"
#include "engine/socket.h"
#include "engine/state.h"

int sluice__request_start(struct sluice_socket *socket, struct sluice__request *request)
{
	struct sluice_engine *engine = socket->engine;
	int error;

	sluice__assert_owner(engine);
	sluice__assert(!request->armed);
	sluice__assert(request->kind != SLUICE__REQUEST_NONE);
	sluice__assert(socket->fd >= 0);
	request->socket = socket;
	request->fd = socket->fd;
	error = engine->backend->start(engine, request);
	if (error)
		return error;
	request->armed = true;
	request->cancelling = false;
	socket->armed++;
	engine->armed_requests++;
	engine->statistics.submitted++;
	return 0;
}

void sluice__request_cancel(struct sluice_socket *socket, struct sluice__request *request)
{
	sluice__assert_owner(socket->engine);
	if (!request->armed || request->cancelling)
		return;
	request->cancelling = true;
	socket->engine->backend->cancel(socket->engine, request);
}
