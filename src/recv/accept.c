/* SPDX-License-Identifier: MIT */
/* accept_start: delivers every connection of a listener until it is stopped. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/assert.h"
#include "base/queue.h"
#include "base/wheel.h"
#include "engine/budget.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/ready.h"
#include "engine/request.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "recv/recv.h"

/* Out of descriptors: delay of the next try, unless this engine closes a descriptor earlier. */
#define RETRY_NS 100000000

struct sluice__accepter {
	sluice_accepted_fn *on_accepted;
	void *token;
	struct sluice__fifo accepted; /* undelivered sockets, by accepted_link */
	struct sluice__retry retry;   /* entry in the list of listeners out of descriptors */
	int32_t error;                /* to be reported once */
	int32_t native;
	bool error_due; /* error is not reported yet */
	bool terminal;  /* error is the last report */
	bool stopping;
	bool exhausted; /* out of descriptors, and reported so */
};

int sluice__accepter_install(struct sluice_socket *listener,
			     const struct sluice_accept_options *options)
{
	struct sluice__accepter *none = NULL;
	struct sluice__accepter *accepter = sluice__allocate(listener->engine, sizeof *accepter);

	if (!accepter)
		return -ENOMEM;
	accepter->on_accepted = options->on_accepted;
	accepter->token = options->token;
	sluice__fifo_init(&accepter->accepted);
	accepter->retry.listener = listener;
	if (__atomic_compare_exchange_n(&listener->accepter, &none, accepter, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return 0;
	free(accepter);
	return -EBUSY;
}

static void report_accept_error(struct sluice_socket *socket, int32_t error, int32_t native,
				bool terminal)
{
	struct sluice__accepter *accepter = socket->accepter;

	if (accepter->terminal)
		return;
	accepter->error = error;
	accepter->native = native;
	accepter->error_due = true;
	accepter->terminal = terminal;
	sluice__event(socket, SLUICE__EVENT_ACCEPTED);
}

static void remove_retry(struct sluice_engine *engine, struct sluice__accepter *accepter)
{
	struct sluice__retry **at = &engine->accept_retries;

	while (*at && *at != &accepter->retry)
		at = &(*at)->next;
	if (*at)
		*at = accepter->retry.next;
}

void sluice__accepter_end(struct sluice_socket *socket, int32_t error, int32_t native)
{
	sluice__assert_owner(socket->engine);
	if (!socket->accepter)
		return;
	remove_retry(socket->engine, socket->accepter);
	report_accept_error(socket, error, native, true);
}

static void arm_accept(struct sluice_socket *socket)
{
	int error;

	if (socket->in.armed || sluice__socket_is_closing(socket))
		return;
	socket->in.kind = SLUICE__REQUEST_ACCEPT_MULTI;
	error = sluice__request_start(socket, &socket->in);
	if (error)
		report_accept_error(socket, sluice_socket_error_from_errno(error), -error, true);
}

void sluice__accepter_begin(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	if (socket->accepter && !socket->accepter->terminal)
		arm_accept(socket);
}

void sluice__accepter_stop(struct sluice_socket *socket)
{
	struct sluice__accepter *accepter = socket->accepter;

	sluice__assert_owner(socket->engine);
	if (!accepter || accepter->stopping)
		return;
	accepter->stopping = true;
	if (socket->in.armed)
		sluice__request_cancel(socket, &socket->in);
	else
		report_accept_error(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED, true);
}

static void queue_accepted(struct sluice_socket *listener, int fd)
{
	struct sluice__accepter *accepter = listener->accepter;
	struct sluice_socket *socket;
	int error = sluice__socket_make_accepted(listener, fd, &socket);

	if (error) {
		close(fd);
		report_accept_error(listener, sluice_socket_error_from_errno(error), -error, false);
		return;
	}
	accepter->exhausted = false;
	sluice__fifo_push(&accepter->accepted, &socket->accepted_link);
	sluice__event(listener, SLUICE__EVENT_ACCEPTED);
}

static bool is_exhaustion(int error_number)
{
	return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
	       error_number == ENOMEM;
}

/* The connection was closed before it could be accepted, or there was none after all. */
static bool is_transient(int error_number)
{
	return error_number == ECONNABORTED || error_number == EAGAIN || error_number == EINTR ||
	       error_number == EPROTO || error_number == EPERM || error_number == ENETDOWN ||
	       error_number == EHOSTUNREACH || error_number == ENETUNREACH;
}

static void wait_for_descriptor(struct sluice_socket *socket, int error_number)
{
	struct sluice__accepter *accepter = socket->accepter;

	if (!accepter->exhausted) {
		accepter->exhausted = true;
		report_accept_error(socket, sluice_socket_error_from_errno(error_number),
				    error_number, false);
	}
	if (!sluice__wheel_is_armed(&socket->timer)) {
		accepter->retry.next = socket->engine->accept_retries;
		socket->engine->accept_retries = &accepter->retry;
	}
	sluice__timer_arm(socket, SLUICE__NODE_RETRY_ACCEPT, RETRY_NS);
}

static void accept_failed(struct sluice_socket *socket, int error_number)
{
	if (socket->accepter->stopping)
		report_accept_error(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED, true);
	else if (is_exhaustion(error_number))
		wait_for_descriptor(socket, error_number);
	else if (is_transient(error_number))
		arm_accept(socket);
	else if (error_number != ECANCELED)
		report_accept_error(socket, sluice_socket_error_from_errno(error_number),
				    error_number, true);
}

void sluice__accepter_settle(struct sluice_socket *socket,
			     const struct sluice__completion *completion)
{
	sluice__assert_owner(socket->engine);
	if (!socket->accepter) {
		if (completion->result >= 0)
			close(completion->result);
		return;
	}
	if (completion->result >= 0)
		queue_accepted(socket, completion->result);
	if (completion->more)
		return;
	if (completion->result < 0)
		accept_failed(socket, -completion->result);
	else if (socket->accepter->stopping)
		report_accept_error(socket, SLUICE_ERROR_OPERATION_ABORTED, ECANCELED, true);
	else
		arm_accept(socket);
}

/* A direct accept4 first: the request is armed again only when a descriptor was available. */
void sluice__accepter_retry(struct sluice_socket *socket)
{
	int fd;

	sluice__assert_owner(socket->engine);
	if (!socket->accepter)
		return;
	remove_retry(socket->engine, socket->accepter);
	if (socket->in.armed || socket->accepter->terminal)
		return;
	fd = accept4(socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && is_exhaustion(errno)) {
		wait_for_descriptor(socket, errno);
		return;
	}
	if (fd >= 0)
		queue_accepted(socket, fd);
	arm_accept(socket);
}

/* ---- handlers ---- */

static void deliver_connection(struct sluice_socket *listener, struct sluice__accepter *accepter)
{
	struct sluice_socket *socket = sluice__element(sluice__fifo_pop(&accepter->accepted),
						       struct sluice_socket, accepted_link);
	struct sluice_accepted accepted = {.size = sizeof accepted, .socket = socket};

	accepter->on_accepted(listener, &accepted, accepter->token);
}

static void deliver_error(struct sluice_socket *listener, struct sluice__accepter *accepter)
{
	struct sluice_accepted accepted = {
		.size = sizeof accepted,
		.error = accepter->error,
		.native_error = accepter->native,
		.terminal = accepter->terminal,
	};
	sluice_accepted_fn *on_accepted = accepter->on_accepted;
	void *token = accepter->token;

	accepter->error_due = false;
	if (accepter->terminal)
		sluice__accepter_free(listener);
	on_accepted(listener, &accepted, token);
}

void sluice__accepter_deliver(struct sluice_socket *listener)
{
	struct sluice_engine *engine = listener->engine;

	sluice__assert_owner(engine);
	sluice__assert(engine->delivering);
	while (listener->accepter && sluice__within_budget(&engine->budget, &engine->statistics)) {
		struct sluice__accepter *accepter = listener->accepter;

		if (!sluice__fifo_is_empty(&accepter->accepted))
			deliver_connection(listener, accepter);
		else if (accepter->error_due)
			deliver_error(listener, accepter);
		else
			break;
		engine->statistics.handlers++;
	}
	if (listener->accepter && (!sluice__fifo_is_empty(&listener->accepter->accepted) ||
				   listener->accepter->error_due))
		sluice__event(listener, SLUICE__EVENT_ACCEPTED);
}

void sluice__accepter_free(struct sluice_socket *socket)
{
	struct sluice__accepter *accepter = socket->accepter;

	if (!accepter)
		return;
	remove_retry(socket->engine, accepter);
	__atomic_store_n(&socket->accepter, NULL, __ATOMIC_RELEASE);
	free(accepter);
}
