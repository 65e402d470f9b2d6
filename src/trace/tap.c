/* SPDX-License-Identifier: MIT */
/*
 * Wraps the backend and records submissions and completions in the trace. Functions that are not
 * wrapped are the backend's own.
 */
#include "backend/backend.h"
#include "engine/socket.h"
#include "trace/trace.h"

static uint64_t segments_bytes(const struct iovec *segments, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += segments[i].iov_len;
	return bytes;
}

/* Bytes requested. */
static uint64_t messages_bytes(const struct mmsghdr *messages, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes +=
			segments_bytes(messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen);
	return bytes;
}

/* Bytes sent of the first `taken` messages. */
static uint64_t taken_bytes(const struct mmsghdr *messages, uint32_t taken)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < taken; i++)
		bytes += messages[i].msg_len;
	return bytes;
}

/* ---- non-blocking calls ---- */

static void tap_event(struct sluice_engine *engine, const struct sluice_socket *socket,
		      uint8_t kind, uint8_t operation, int64_t result)
{
	struct sluice__trace_event event = {
		.socket = (uintptr_t)socket,
		.fd = socket->fd,
		.kind = kind,
		.operation = operation,
		.bytes = result > 0 ? (uint64_t)result : 0,
		.native = result < 0 ? (int32_t)-result : 0,
	};

	sluice__trace_event(engine, &event);
}

static int64_t tap_try_send(struct sluice_engine *engine, struct sluice_socket *socket,
			    const struct msghdr *message, uint32_t flags)
{
	uint64_t bytes = segments_bytes(message->msg_iov, message->msg_iovlen);
	int64_t result;

	tap_event(engine, socket, SLUICE__TRACE_SUBMIT, SLUICE__TRACE_SEND_NOW, (int64_t)bytes);
	result = sluice__trace_below(engine)->try_send(engine, socket, message, flags);
	tap_event(engine, socket, SLUICE__TRACE_COMPLETE, SLUICE__TRACE_SEND_NOW, result);
	return result;
}

static int tap_try_send_messages(struct sluice_engine *engine, struct sluice_socket *socket,
				 struct mmsghdr *messages, uint32_t count, uint32_t flags)
{
	uint64_t bytes = messages_bytes(messages, count);
	int result;

	tap_event(engine, socket, SLUICE__TRACE_SUBMIT, SLUICE__TRACE_SEND_NOW, (int64_t)bytes);
	result = sluice__trace_below(engine)->try_send_messages(engine, socket, messages, count,
								flags);
	bytes = result > 0 ? taken_bytes(messages, (uint32_t)result) : 0;
	tap_event(engine, socket, SLUICE__TRACE_COMPLETE, SLUICE__TRACE_SEND_NOW,
		  result < 0 ? result : (int64_t)bytes);
	return result;
}

static int64_t tap_try_send_file(struct sluice_engine *engine, struct sluice_socket *socket,
				 int file, uint64_t offset, uint64_t count, bool piped)
{
	int64_t result;

	tap_event(engine, socket, SLUICE__TRACE_SUBMIT, SLUICE__TRACE_FILE_NOW, (int64_t)count);
	result = sluice__trace_below(engine)->try_send_file(engine, socket, file, offset, count,
							    piped);
	tap_event(engine, socket, SLUICE__TRACE_COMPLETE, SLUICE__TRACE_FILE_NOW, result);
	return result;
}

static int64_t tap_try_receive(struct sluice_engine *engine, struct sluice_socket *socket,
			       struct msghdr *message, uint32_t flags)
{
	uint64_t bytes = segments_bytes(message->msg_iov, message->msg_iovlen);
	int64_t result;

	tap_event(engine, socket, SLUICE__TRACE_SUBMIT, SLUICE__TRACE_RECEIVE_NOW, (int64_t)bytes);
	result = sluice__trace_below(engine)->try_receive(engine, socket, message, flags);
	tap_event(engine, socket, SLUICE__TRACE_COMPLETE, SLUICE__TRACE_RECEIVE_NOW, result);
	return result;
}

/* ---- requests ---- */

static uint64_t request_bytes(const struct sluice__request *request)
{
	switch (request->kind) {
	case SLUICE__REQUEST_SEND:
	case SLUICE__REQUEST_SEND_ZEROCOPY:
	case SLUICE__REQUEST_RECEIVE:
		return segments_bytes(request->segments, request->segment_count);
	case SLUICE__REQUEST_MESSAGES:
		return messages_bytes(request->messages->headers, request->messages->count);
	case SLUICE__REQUEST_RECEIVE_MULTI:
	case SLUICE__REQUEST_FETCH:
	case SLUICE__REQUEST_FILE:
		return request->length;
	default:
		return 0;
	}
}

static struct sluice__trace_event request_event(const struct sluice__request *request, uint8_t kind)
{
	return (struct sluice__trace_event){
		.socket = (uintptr_t)request->socket,
		.fd = request->fd,
		.kind = kind,
		.operation = (uint8_t)(SLUICE__TRACE_REQUEST + request->kind),
	};
}

static int tap_start(struct sluice_engine *engine, struct sluice__request *request)
{
	struct sluice__trace_event event = request_event(request, SLUICE__TRACE_SUBMIT);
	int error = sluice__trace_below(engine)->start(engine, request);

	event.bytes = request_bytes(request);
	event.native = -error;
	sluice__trace_event(engine, &event);
	return error;
}

/* Whether the result of this kind of request is a number of bytes. */
static bool result_is_bytes(uint8_t kind)
{
	return kind == SLUICE__REQUEST_SEND || kind == SLUICE__REQUEST_SEND_ZEROCOPY ||
	       kind == SLUICE__REQUEST_RECEIVE || kind == SLUICE__REQUEST_RECEIVE_MULTI ||
	       kind == SLUICE__REQUEST_FILE;
}

static uint32_t tap_reap(struct sluice_engine *engine, struct sluice__completion *completions,
			 uint32_t max)
{
	uint32_t count = sluice__trace_below(engine)->reap(engine, completions, max);

	for (uint32_t i = 0; i < count; i++) {
		const struct sluice__completion *completion = &completions[i];
		struct sluice__trace_event event =
			request_event(completion->request, SLUICE__TRACE_COMPLETE);

		if (completion->result < 0)
			event.native = -completion->result;
		else if (completion->request->kind == SLUICE__REQUEST_MESSAGES)
			event.bytes = taken_bytes(completion->request->messages->headers,
						  completion->request->messages->taken);
		else if (result_is_bytes(completion->request->kind))
			event.bytes = (uint64_t)completion->result;
		sluice__trace_event(engine, &event);
	}
	return count;
}

/* The descriptor is closed or detached next. */
static void tap_forget(struct sluice_engine *engine, struct sluice_socket *socket)
{
	sluice__trace_socket(socket, SLUICE__TRACE_CLOSE);
	sluice__trace_below(engine)->forget(engine, socket);
}

void sluice__trace_backend(struct sluice__backend *over, const struct sluice__backend *below)
{
	*over = *below;
	over->try_send = tap_try_send;
	over->try_send_messages = tap_try_send_messages;
	over->try_send_file = tap_try_send_file;
	over->try_receive = tap_try_receive;
	over->start = tap_start;
	over->reap = tap_reap;
	over->forget = tap_forget;
}
