/* SPDX-License-Identifier: MIT */
/*
 * For servers, beyond .NET: every connection of a listener, every byte of a stream, without a
 * record for each. On the ring these are multishot operations over a ring of the engine's own
 * buffers; on epoll they give the same events.
 */
#ifndef SLUICE_SERVER_H
#define SLUICE_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;
struct sluice_socket;
struct sluice_buffer; /* one of the engine's receive buffers, lent */

/* A connection, or the terminal call of accept_start. Read what size covers. */
struct sluice_accepted {
	size_t size;
	struct sluice_socket *socket; /* new, on the listener's engine, yours to destroy; or NULL */
	int32_t error;                /* enum sluice_socket_error */
	int32_t native_error;
	uint32_t terminal; /* not 0: the last call */
};

typedef void sluice_accepted_fn(struct sluice_socket *listener,
				const struct sluice_accepted *accepted, void *token);

struct sluice_accept_options {
	size_t size; /* sizeof this */
	sluice_accepted_fn *on_accepted;
	void *token;
};

/*
 * Delivers every connection until accept_stop, in the engine's thread. Out of descriptors is
 * reported once (TooManyOpenSockets, no socket); it tries again when this engine closes a
 * descriptor, else every 100 ms. Any other error is terminal. Any thread.
 * 0; -EBADF; -EBUSY already started, or accepts pending; -EINVAL not listening. Since 0.1.
 */
int sluice_accept_start(struct sluice_socket *listener,
			const struct sluice_accept_options *options);

/*
 * Ends it: connections already handed over by the kernel are delivered, then comes one terminal
 * call (OperationAborted). It also follows a close or destroy of the listener, so that the token may
 * always be freed there. Any thread. 0; -ENOENT not started; -EBADF. Since 0.1.
 */
int sluice_accept_stop(struct sluice_socket *listener);

/* Bytes, or the terminal call of receive_start: the end of the stream is Success with 0 bytes. */
struct sluice_received {
	size_t size;
	struct sluice_buffer *buffer; /* release it, from any thread, in any order; NULL: none */
	const void *data;
	size_t length;
	int32_t error; /* enum sluice_socket_error */
	int32_t native_error;
	uint32_t terminal; /* not 0: the last call; the socket is then closed to receives */
};

typedef void sluice_received_fn(struct sluice_socket *socket,
				const struct sluice_received *received, void *token);

struct sluice_receive_options {
	size_t size; /* sizeof this */
	sluice_received_fn *on_received;
	void *token;
};

/*
 * Delivers every byte in order, in the engine's buffers, until the end of the stream, an error or
 * receive_stop. No more than options.receive_buffers_per_socket are lent to one socket: a slow
 * consumer stops the reading of its own socket alone. A socket may have fewer while many buffers are
 * lent to others. If all that options.receive_bytes_max allows are lent, each that is released goes
 * to the socket that has waited longest. Any thread.
 * 0; -EBADF; -EBUSY already started, or receives pending; -ENOTCONN; -EOPNOTSUPP not a stream.
 * Since 0.1.
 */
int sluice_receive_start(struct sluice_socket *socket,
			 const struct sluice_receive_options *options);

/*
 * Ends it: bytes already taken from the kernel are delivered, then comes one terminal call
 * (OperationAborted, or the end of the stream if that was met). The terminal call also follows a close or
 * destroy of the socket, so that the token may always be freed there. Any thread. 0; -ENOENT; -EBADF.
 * Since 0.1.
 */
int sluice_receive_stop(struct sluice_socket *socket);

/*
 * Gives a received buffer back. It outlives its socket, not its engine. Any thread, any order, once.
 * Since 0.1.
 */
void sluice_buffer_release(struct sluice_engine *engine, struct sluice_buffer *buffer);

#ifdef __cplusplus
}
#endif
#endif
