/* SPDX-License-Identifier: MIT */
/* Records that receive or accept, served in order with one request in flight at a time. */
#include <errno.h>
#include <sluice/operations.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/queue.h"
#include "core/record.h"
#include "core/record_list.h"
#include "engine/arena.h"
#include "engine/deadline.h"
#include "engine/owner.h"
#include "engine/request.h"
#include "engine/result.h"
#include "engine/socket.h"
#include "engine/sockets.h"
#include "engine/state.h"
#include "filter/filter.h"
#include "recv/recv.h"

static bool is_accept(const struct sluice_args *args)
{
	return args->last_operation == SLUICE_OPERATION_ACCEPT;
}

static bool is_from(const struct sluice_args *args)
{
	return args->last_operation == SLUICE_OPERATION_RECEIVE_FROM;
}

static uint64_t receive_capacity(const struct sluice_args *args)
{
	const struct iovec *segments = args->run.base;
	uint64_t bytes = 0;

	if (!(args->run.op_flags & SLUICE__OP_LIST))
		return args->run.total;
	for (uint64_t i = 0; i < args->run.count; i++)
		bytes += segments[i].iov_len;
	return bytes;
}

static uint32_t receive_flags(const struct sluice_args *args)
{
	uint32_t flags = 0;

	if (args->run.op_flags & SLUICE__OP_OUT_OF_BAND)
		flags |= MSG_OOB;
	if (args->run.op_flags & SLUICE__OP_PEEK)
		flags |= MSG_PEEK;
	return flags;
}

/* The segments to receive into. A single buffer's segment is stored in the socket. */
static void receive_segments(struct sluice_socket *socket, const struct sluice_args *args,
			     struct iovec **ret_segments, uint32_t *ret_count)
{
	if (args->run.op_flags & SLUICE__OP_LIST) {
		struct iovec *first = (struct iovec *)(uintptr_t)args->run.base;
		uint64_t count = args->run.count;

		/* The kernel takes a limited number, and one of them at least must not be empty. */
		while (count > 1 && first->iov_len == 0) {
			first++;
			count--;
		}
		*ret_segments = first;
		*ret_count = count < SLUICE__SEGMENTS_MAX ? (uint32_t)count : SLUICE__SEGMENTS_MAX;
		return;
	}
	socket->receive_segment.iov_base = (void *)(uintptr_t)args->run.base;
	socket->receive_segment.iov_len = args->run.total;
	*ret_segments = &socket->receive_segment;
	*ret_count = 1;
}

/* ---- the sender's address, and truncation ---- */

/* Message header of a receive in flight that needs either; the kernel writes to it. */
struct sluice__recv_msg {
	struct msghdr message;
	struct sluice__link link;
};

static struct sluice__recv_msg *recv_msg_take(struct sluice_engine *engine)
{
	struct sluice__link *link = sluice__pool_get(&engine->recv_msgs);

	if (!link)
		return sluice__allocate(engine, sizeof(struct sluice__recv_msg));
	return sluice__element(link, struct sluice__recv_msg, link);
}

static void recv_msg_put(struct sluice_engine *engine, struct msghdr *message)
{
	struct sluice__recv_msg *recv_msg = (struct sluice__recv_msg *)message;

	sluice__pool_put(&engine->recv_msgs, &recv_msg->link);
}

void sluice__recv_msgs_free(struct sluice_engine *engine)
{
	struct sluice__link *link;

	while ((link = sluice__pool_get(&engine->recv_msgs)))
		free(sluice__element(link, struct sluice__recv_msg, link));
}

static void request_sender(const struct sluice_args *args, struct msghdr *message)
{
	message->msg_flags = 0;
	if (!is_from(args))
		return;
	message->msg_name = sluice__record_address(args);
	message->msg_namelen = sluice__record_address_length(args);
}

/* Truncated by the buffer, or because the list has more segments than the kernel takes. */
static void record_message(struct sluice_args *args, const struct msghdr *message, int64_t result)
{
	if (is_from(args))
		args->from_length = result < 0 ? 0 : message->msg_namelen;
	if (result >= 0 && (message->msg_flags & MSG_TRUNC))
		args->run.op_flags |= SLUICE__OP_TRUNCATED;
}

/* ---- completing one record ---- */

static void accept_result(struct sluice_socket *socket, struct sluice_args *args, int64_t *result)
{
	struct sluice_socket *accepted;
	int error;

	args->accept_socket = NULL;
	if (*result < 0)
		return;
	error = sluice__socket_make_accepted(socket, (int)*result, &accepted);
	if (error)
		close((int)*result);
	else
		args->accept_socket = accepted;
	*result = error;
}

static int complete_receive(struct sluice_socket *socket, struct sluice_args *args, int64_t result,
			    bool may_finish)
{
	if (is_accept(args))
		accept_result(socket, args, &result);
	else if (result < 0 || receive_capacity(args) > 0)
		result = sluice__receive_result(socket, result);
	if (unlikely(args->run.op_flags & SLUICE__OP_TRUNCATED))
		return sluice__end_at_once(socket->engine, args, may_finish,
					   SLUICE_ERROR_MESSAGE_SIZE, EMSGSIZE, (uint64_t)result);
	return sluice__end_at_once(
		socket->engine, args, may_finish,
		result < 0 ? sluice_socket_error_from_errno((int)result) : SLUICE_ERROR_SUCCESS,
		result < 0 ? (int32_t)-result : 0, result > 0 ? (uint64_t)result : 0);
}

/* ---- trying synchronously ---- */

static int64_t try_accept(struct sluice_socket *socket)
{
	int fd = accept4(socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A receive of 0 bytes waits until the socket is readable and consumes nothing: 0 if it is. */
static int64_t try_peek(struct sluice_socket *socket)
{
	char byte;
	struct iovec segment = {&byte, 1};
	struct msghdr message = {.msg_iov = &segment, .msg_iovlen = 1};
	struct sluice_engine *engine = socket->engine;
	int64_t seen;

	if (sluice__is_filtered(socket))
		seen = sluice__filter_receive(socket, &segment, 1, SLUICE_FILTER_PEEK);
	else
		seen = engine->backend->try_receive(engine, socket, &message, MSG_PEEK);
	return seen > 0 ? 0 : seen;
}

static int64_t try_receive(struct sluice_socket *socket, struct sluice_args *args)
{
	struct sluice_engine *engine = socket->engine;
	struct msghdr message;
	struct iovec *segments;
	uint32_t count;
	int64_t result;

	if (is_accept(args))
		return try_accept(socket);
	if (receive_capacity(args) == 0)
		return try_peek(socket);
	memset(&message, 0, sizeof message);
	receive_segments(socket, args, &segments, &count);
	message.msg_iov = segments;
	message.msg_iovlen = count;
	request_sender(args, &message);
	if (sluice__is_filtered(socket)) {
		message.msg_namelen = 0;
		result = sluice__filter_receive(
			socket, segments, count,
			args->run.op_flags & SLUICE__OP_PEEK ? SLUICE_FILTER_PEEK : 0);
	} else {
		result =
			engine->backend->try_receive(engine, socket, &message, receive_flags(args));
	}
	record_message(args, &message, result);
	return result;
}

/* ---- the queue ---- */

static void push_receive(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__list_push(&socket->receives, args);
	__atomic_store_n(&socket->receives_listed, socket->receives_listed + 1, __ATOMIC_RELEASE);
	if (args->run.op_flags & SLUICE__OP_DEADLINE)
		sluice__deadline_arm(socket, args);
}

static void remove_receive(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__list_remove(&socket->receives, args);
	__atomic_store_n(&socket->receives_listed, socket->receives_listed - 1, __ATOMIC_RELEASE);
}

static int fill_in_recv_msg(struct sluice_socket *socket, const struct sluice_args *args)
{
	struct sluice__recv_msg *recv_msg = recv_msg_take(socket->engine);

	if (!recv_msg)
		return -ENOMEM;
	memset(&recv_msg->message, 0, sizeof recv_msg->message);
	recv_msg->message.msg_iov = socket->in.segments;
	recv_msg->message.msg_iovlen = socket->in.segment_count;
	request_sender(args, &recv_msg->message);
	socket->in.message = &recv_msg->message;
	return 0;
}

/* The request has completed, or failed to start. */
static void finish_recv_msg(struct sluice_socket *socket, struct sluice_args *args, int64_t result)
{
	if (!socket->in.message)
		return;
	if (args)
		record_message(args, socket->in.message, result);
	recv_msg_put(socket->engine, socket->in.message);
	socket->in.message = NULL;
}

static int fill_receive_request(struct sluice_socket *socket, const struct sluice_args *args)
{
	struct sluice__request *in = &socket->in;

	in->message = NULL;
	if (is_accept(args)) {
		in->kind = SLUICE__REQUEST_ACCEPT;
		return 0;
	}
	if (receive_capacity(args) == 0 || sluice__is_filtered(socket)) {
		in->kind = SLUICE__REQUEST_READABLE;
		return 0;
	}
	in->kind = SLUICE__REQUEST_RECEIVE;
	in->flags = receive_flags(args);
	receive_segments(socket, args, &in->segments, &in->segment_count);
	if (is_from(args) || (sluice__socket_flags(socket) & SLUICE__SHARED_DATAGRAM))
		return fill_in_recv_msg(socket, args);
	return 0;
}

/* Takes data buffered by the filter, which the kernel does not signal. True: a record ended. */
static bool complete_from_filter(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->receives.head;
	int64_t result;

	if (!sluice__filter_pending(socket))
		return false;
	result = try_receive(socket, args);
	if (result == -EAGAIN || result == -EINTR)
		return false;
	remove_receive(socket, args);
	complete_receive(socket, args, result, false);
	return true;
}

void sluice__receive_arm(struct sluice_socket *socket)
{
	sluice__assert_owner(socket->engine);
	while (socket->receives.head && !socket->in.armed) {
		int error;

		if (sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING)
			return;
		if (sluice__is_filtered(socket) && complete_from_filter(socket))
			continue;
		error = fill_receive_request(socket, socket->receives.head);
		if (error == 0)
			error = sluice__request_start(socket, &socket->in);
		if (error == 0)
			return;
		sluice__receive_settle(socket, error);
	}
}

int sluice__receive_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish)
{
	bool urgent = args->run.op_flags & SLUICE__OP_OUT_OF_BAND;
	bool first = !socket->receives.head && !socket->in.armed &&
		     !(sluice__socket_flags(socket) & SLUICE__SHARED_CONNECTING);

	sluice__assert_owner(socket->engine);
	if (is_from(args))
		args->from_length = 0;
	/* An urgent byte is available or not: MSG_OOB never waits. */
	if (urgent || (may_finish && first)) {
		int64_t result = try_receive(socket, args);

		if (urgent || (result != -EAGAIN && result != -EINTR))
			return complete_receive(socket, args, result, may_finish);
	}
	push_receive(socket, args);
	sluice__receive_arm(socket);
	return 1;
}

void sluice__receive_cancel(struct sluice_socket *socket, struct sluice_args *args)
{
	sluice__assert_owner(socket->engine);
	if (args == socket->receives.head && socket->in.armed) {
		sluice__request_cancel(socket, &socket->in);
		return;
	}
	remove_receive(socket, args);
	sluice__finish_cancelled(&socket->engine->done, args);
}

void sluice__receive_cancel_marked(struct sluice_socket *socket)
{
	struct sluice_args *args = socket->receives.head;

	sluice__assert_owner(socket->engine);
	while (args) {
		struct sluice_args *next = args->run.next;

		if (sluice__record_marked(args))
			sluice__receive_cancel(socket, args);
		args = next;
	}
}

void sluice__receive_settle(struct sluice_socket *socket, int32_t result)
{
	struct sluice_args *args = socket->receives.head;

	sluice__assert_owner(socket->engine);
	if (args && result == 0 && !is_accept(args) && sluice__is_filtered(socket) &&
	    !(socket->state & SLUICE__PHASE_MASK))
		result = (int32_t)try_receive(socket, args);
	socket->in.kind = SLUICE__REQUEST_NONE;
	finish_recv_msg(socket, args, result);
	if (result == -ECANCELED) {
		sluice__receive_cancel_marked(socket);
	} else if (args && result != -EAGAIN && result != -EINTR) {
		remove_receive(socket, args);
		complete_receive(socket, args, result, false);
	}
	if (!sluice__socket_is_closing(socket)) {
		sluice__receive_arm(socket);
		sluice__receiver_begin(socket);
	}
}

void sluice__receive_abort(struct sluice_socket *socket, int32_t error, int32_t native)
{
	struct sluice_args *args;

	sluice__assert_owner(socket->engine);
	while ((args = socket->receives.head)) {
		remove_receive(socket, args);
		sluice__finish(socket->engine, args, error, native, 0);
	}
}
