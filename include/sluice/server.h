/* SPDX-License-Identifier: MIT */
/*
 * For servers, beyond .NET: every connection of a listener and every byte of a stream, without a
 * record for each. With io_uring these are multishot operations with the engine's own buffers;
 * epoll delivers the same events.
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
struct sluice_buffer; /* a receive buffer that the engine lends */

/* A connection, or the terminal call of accept_start. Only the first size bytes are valid. */
struct sluice_accepted {
	size_t size;
	struct sluice_socket *socket; /* new, of the listener's engine, yours to destroy; or NULL */
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
 * Delivers every connection until sluice_accept_stop, on the engine's thread. Running out of
 * descriptors is reported once (TooManyOpenSockets, no socket); accepting resumes when this engine
 * closes a descriptor, else it retries every 100 ms. Any other error is terminal. Any thread.
 * Returns 0; -EBADF; -EBUSY: already started, or accepts pending; -EINVAL: not listening. Since
 * 0.1.
 */
int sluice_accept_start(struct sluice_socket *listener,
			const struct sluice_accept_options *options);

/*
 * Stops sluice_accept_start: connections that the kernel already handed over are delivered, then
 * one terminal call follows (OperationAborted). A close or destroy of the listener also ends in the
 * terminal call, so the token can always be freed in it. Any thread. Returns 0; -ENOENT: not
 * started; -EBADF. Since 0.1.
 */
int sluice_accept_stop(struct sluice_socket *listener);

/* Bytes, or the terminal call of receive_start; the end of the stream is Success with 0 bytes. */
struct sluice_received {
	size_t size;
	struct sluice_buffer *buffer; /* release it, on any thread, in any order; NULL: none */
	const void *data;
	size_t length;
	int32_t error; /* enum sluice_socket_error */
	int32_t native_error;
	uint32_t terminal; /* not 0: the last call of this receive_start */
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
 * sluice_receive_stop. At most options.receive_buffers_per_socket buffers are lent to one socket: a
 * slow consumer stops only its own socket. A socket may get fewer while many buffers are lent to
 * others. If all buffers that options.receive_bytes_max allows are lent, each released one goes to
 * the socket that has waited longest. There is no timeout: a server that drops idle peers starts a
 * sluice_timer for each connection, starts it again in on_received, and closes the socket when it
 * expires. Any thread.
 * Returns 0; -EBADF; -EBUSY: already started, or receives pending; -ENOTCONN; -EOPNOTSUPP: not a
 * stream. Since 0.1.
 */
int sluice_receive_start(struct sluice_socket *socket,
			 const struct sluice_receive_options *options);

/*
 * Stops sluice_receive_start: bytes already taken from the kernel are delivered, then one terminal
 * call follows (OperationAborted, or the end of the stream if that was reached). A close or destroy
 * of the socket also ends in the terminal call, so the token can always be freed in it. Any thread.
 * Returns 0; -ENOENT; -EBADF. Since 0.1.
 */
int sluice_receive_stop(struct sluice_socket *socket);

/*
 * Releases a received buffer. The buffer stays valid after its socket is destroyed, but not after
 * its engine. Release it exactly once, from any thread, in any order. Since 0.1.
 */
void sluice_buffer_release(struct sluice_engine *engine, struct sluice_buffer *buffer);

#ifdef __cplusplus
}
#endif
#endif
