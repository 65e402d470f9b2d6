/* SPDX-License-Identifier: MIT */
/* A filter's handshake: a connect without connect(2). */
#include <errno.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "core/record.h"
#include "core/sendq.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "filter/filter.h"
#include "socket/socket.h"

static void handshake_failed(struct sluice_socket *socket, int error)
{
	sluice__connect_refused(socket, sluice_socket_error_from_errno(error), -error);
}

/* What was started behind the handshake, before it was known that the kernel encrypts. */
static void hold_nothing_back(struct sluice_socket *socket)
{
	for (struct sluice_args *args = sluice__sendq_head(&socket->queue); args;
	     args = args->run.next)
		args->run.op_flags &= ~(uint32_t)SLUICE__OP_MORE;
}

static void handshake_succeeded(struct sluice_socket *socket, uint32_t events)
{
	sluice__filter_of(socket)->opened = true;
	sluice__filter_of(socket)->taken_before = socket->bytes_sent;
	if (!(events & SLUICE_FILTER_WRITE)) {
		sluice__socket_flags_clear(socket, SLUICE__SHARED_FILTERED_SENDS);
		hold_nothing_back(socket);
	}
	sluice__connect_succeeded(socket);
	sluice__filter_offer(socket);
}

static int wait_for_event(struct sluice_socket *socket, uint32_t events)
{
	struct sluice__request *request = events & SLUICE_FILTER_READ ? &socket->in : &socket->out;

	if (request->armed)
		return 0; /* its completion is outstanding */
	request->kind = events & SLUICE_FILTER_READ ? SLUICE__REQUEST_READABLE
						    : SLUICE__REQUEST_WRITABLE;
	request->message = NULL;
	return sluice__request_start(socket, request);
}

void sluice__filter_step(struct sluice_socket *socket)
{
	struct sluice__filter *filter = sluice__filter_of(socket);
	uint32_t events = 0;
	int error;

	sluice__assert_owner(socket->engine);
	if (socket->state & SLUICE__PHASE_MASK)
		return;
	sluice__assert(socket->connecting);
	error = filter->calls.open(filter->calls.token, &events);
	if (error == 0) {
		handshake_succeeded(socket, events);
		return;
	}
	if (error == -EAGAIN)
		error = wait_for_event(socket, events);
	if (error)
		handshake_failed(socket, error);
}

int sluice__filter_begin(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert_owner(socket->engine);
	socket->connecting = args;
	if (args->run.op_flags & SLUICE__OP_DEADLINE)
		sluice__deadline_arm(socket, args);
	sluice__filter_step(socket);
	return 1;
}
