/* SPDX-License-Identifier: MIT */
/*
 * Datagrams, and other messages with an edge: every record stands for itself. One that fails takes
 * its error alone, the next is tried.
 */
#include <errno.h>

#include "engine.h"

/* Messages of one socket in one turn, before the next socket's. */
#define MESSAGES 256

/* More segments than the kernel takes, and no way to send them in two calls. */
#define TOO_MANY (SLUICE__SEGMENTS_MAX + 1)

static uint32_t list_segments(const struct sluice_args *args, struct iovec *segments)
{
	const struct iovec *given = args->run.base;
	uint32_t count = 0;

	for (uint64_t i = 0; i < args->run.count; i++) {
		if (given[i].iov_len == 0)
			continue;
		if (count == SLUICE__SEGMENTS_MAX)
			return TOO_MANY;
		segments[count++] = given[i];
	}
	return count;
}

static int64_t send_one(struct sluice_socket *socket, const struct sluice_args *args)
{
	struct sluice_engine *engine = socket->engine;
	struct iovec *segments = engine->arena + engine->arena_used;
	struct msghdr message = {.msg_iov = segments, .msg_iovlen = 1};
	uint32_t flags = args->run.extras & SLUICE__DONT_ROUTE ? MSG_DONTROUTE : 0;

	if (args->run.extras & SLUICE__LIST) {
		uint32_t count = list_segments(args, segments);

		if (count == TOO_MANY)
			return -EMSGSIZE;
		message.msg_iovlen = count;
	} else {
		segments->iov_base = (void *)(uintptr_t)args->run.base;
		segments->iov_len = args->run.total;
	}
	if (args->run.extras & SLUICE__TO) {
		message.msg_name = (void *)(uintptr_t)args->remote_address;
		message.msg_namelen = args->remote_address_length;
	}
	engine->statistics.inline_sends++;
	return engine->backend->try_send(engine, socket, &message, flags);
}

static void finish(struct sluice_socket *socket, int64_t taken)
{
	socket->transmissions++;
	if (taken >= 0) {
		socket->records_sent++;
		socket->bytes_sent += (uint64_t)taken;
	}
	sluice__sendq_finish_head(&socket->queue, socket->engine->sink,
				  taken < 0 ? sluice_socket_error_from_errno((int)taken)
					    : SLUICE_ERROR_SUCCESS,
				  taken < 0 ? (int32_t)-taken : 0, taken > 0 ? (uint64_t)taken : 0);
	sluice__settle_shorter(socket);
}

static void disconnect(struct sluice_socket *socket, struct sluice_args *args)
{
	int error = sluice__socket_disconnect(socket, args->run.extras & SLUICE__REUSE);

	sluice__sendq_finish_head(&socket->queue, socket->engine->sink,
				  sluice_socket_error_from_errno(error), -error, 0);
}

void sluice__datagram_transmit(struct sluice_socket *socket)
{
	struct sluice_engine *engine = socket->engine;

	if (SLUICE__ARENA - engine->arena_used < SLUICE__SEGMENTS_MAX) {
		engine->backend->submit(engine);
		engine->arena_used = 0;
	}
	for (int message = 0; message < MESSAGES && socket->queue.list.head; message++) {
		struct sluice_args *args = socket->queue.list.head;
		int64_t taken;

		if (args->run.extras & SLUICE__DISCONNECT) {
			disconnect(socket, args);
			continue;
		}
		taken = send_one(socket, args);
		if (taken == -EINTR)
			continue;
		if (taken == -EAGAIN) {
			sluice__transmit_blocked(socket);
			return;
		}
		finish(socket, taken);
	}
	if (socket->queue.list.head)
		sluice__ready(socket);
}
