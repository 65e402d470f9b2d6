/* SPDX-License-Identifier: MIT */
/* Receiving and accepting. */
#ifndef SLUICE_SRC_RECV_RECV_H
#define SLUICE_SRC_RECV_RECV_H

#include <sluice/server.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "engine/state.h"

struct sluice__completion;
struct sluice__receiver;

/* receive.c: records that receive or accept */
int sluice__receive_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish);
void sluice__receive_arm(struct sluice_socket *socket);
void sluice__receive_settle(struct sluice_socket *socket, int32_t result);
void sluice__receive_abort(struct sluice_socket *socket, int32_t error, int32_t native);
void sluice__receive_cancel(struct sluice_socket *socket, struct sluice_args *args);
void sluice__receive_cancel_marked(struct sluice_socket *socket);
void sluice__recv_msgs_free(struct sluice_engine *engine);
int64_t sluice__receive_result(struct sluice_socket *socket, int64_t result);

/* accept.c: accept_start */
int sluice__accepter_install(struct sluice_socket *listener,
			     const struct sluice_accept_options *options); /* 0, -ENOMEM, -EBUSY */
void sluice__accepter_begin(struct sluice_socket *socket);
void sluice__accepter_stop(struct sluice_socket *socket);
void sluice__accepter_settle(struct sluice_socket *socket,
			     const struct sluice__completion *completion);
void sluice__accepter_deliver(struct sluice_socket *socket);
void sluice__accepter_end(struct sluice_socket *socket, int32_t error, int32_t native);
void sluice__accepter_retry(struct sluice_socket *socket);
void sluice__accepter_free(struct sluice_socket *socket);

/* stream.c: receive_start */
int sluice__receiver_install(struct sluice_socket *socket,
			     const struct sluice_receive_options *options); /* 0, -ENOMEM, -EBUSY */
void sluice__receiver_begin(struct sluice_socket *socket);
void sluice__receiver_stop(struct sluice_socket *socket);
void sluice__receiver_settle(struct sluice_socket *socket,
			     const struct sluice__completion *completion);
void sluice__receiver_readable(struct sluice_socket *socket, int32_t result); /* of a filter */
void sluice__receiver_deliver(struct sluice_socket *socket);
void sluice__receiver_end(struct sluice_socket *socket, int32_t error, int32_t native);
void sluice__receiver_resume_all(struct sluice_engine *engine);
void sluice__receiver_resume_waiting(struct sluice_engine *engine);
void sluice__receiver_free(struct sluice_socket *socket);
void sluice__receiver_returned(struct sluice__receiver *receiver);

/* A receiver waits for a buffer although there is one. */
static inline bool sluice__receiver_can_resume(const struct sluice_engine *engine)
{
	return !sluice__fifo_is_empty(&engine->receive_pool.paused) &&
	       engine->receive_pool.out < engine->receive_pool.most;
}

/* Take back buffers that other threads, or the engine's thread, released. */
void sluice__buffers_take_returned(struct sluice_engine *engine);
void sluice__buffer_put(struct sluice_engine *engine, struct sluice_buffer *buffer);

#endif
