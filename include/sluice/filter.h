/* SPDX-License-Identifier: MIT */
/*
 * A filter: code between a stream socket's queues and the kernel that changes the bytes, as TLS
 * does. libsluice-tls is one. An application does not need this header.
 *
 * The library does the sending and all bookkeeping: order, results, deadlines, water marks and
 * files work as without a filter. A byte counts as taken when the kernel has all output that the
 * filter made of it. The filter reads from the descriptor itself.
 *
 * Every function of a filter is called in the engine's thread and must not block, nor call sluice
 * for its socket.
 */
#ifndef SLUICE_FILTER_H
#define SLUICE_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <sluice/args.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	SLUICE_FILTER_READ = 1, /* wait until the socket is readable; received bytes are filtered */
	SLUICE_FILTER_WRITE = 2 /* wait until the socket is writable; sent bytes are filtered */
};

enum {
	SLUICE_FILTER_LAST = 1, /* of seal: these bytes, if all are taken, end the stream */
	SLUICE_FILTER_PEEK = 2  /* of receive: the bytes stay */
};

struct sluice_filter {
	size_t size; /* sizeof this */
	void *token; /* the argument of every function */

	/*
	 * Takes the next step of the handshake, with input and output of the filter's own on the
	 * descriptor. 0: open, and *ret_events says which directions go through the filter from now on
	 * (the kernel filters the others). -EAGAIN: call again when one of *ret_events holds. Another
	 * -errno: the handshake failed.
	 */
	int (*open)(void *token, uint32_t *ret_events);

	/*
	 * Turns bytes into output. Only while there is none. The bytes consumed, from the first one on;
	 * less than all: the rest is given again later. Or -errno, and the stream has failed.
	 */
	int64_t (*seal)(void *token, const struct iovec *segments, size_t count, uint32_t flags);

	/* The output that the kernel has yet to take. Its length, 0 for none. */
	size_t (*output)(void *token, const void **ret_base);

	/* The kernel took so many bytes of it. How many sealed bytes that completes. */
	uint64_t (*sent)(void *token, size_t bytes);

	/* Makes output that tells the peer of the end of the stream, once. */
	void (*end)(void *token);

	/*
	 * Receives: bytes, 0 for an orderly end, -EAGAIN, or -errno. May make output. flags:
	 * SLUICE_FILTER_PEEK.
	 */
	int64_t (*receive)(void *token, const struct iovec *segments, size_t count, uint32_t flags);

	/* Not 0: receive would give something although the socket is not readable. */
	int (*pending)(void *token);

	/* The socket is gone. */
	void (*destroy)(void *token);
};

/*
 * Puts the filter between a connected stream and the kernel and runs its handshake, as an operation
 * of the record, in which the record's handler, deadline and cancel work as in a connect
 * (last_operation is CONNECT). Starts behind it wait, and end with NotConnected if it fails; a
 * handshake that is cancelled or overdue resets the connection. The filter stays until the socket is
 * destroyed or disconnected for reuse, also if the handshake fails: then nothing is sent or received
 * any more. The struct is copied. The engine's thread.
 * 1: pending; -EINVAL; -EBADF; -EPERM another thread; -EOPNOTSUPP not a stream; -ENOTCONN;
 * -EALREADY: the socket has a filter; -EBUSY: the record is in progress, or sends or receives are;
 * -ENOMEM: and the filter is not destroyed. Since 0.1.
 */
int sluice_filter_async(struct sluice_socket *socket, const struct sluice_filter *filter,
			struct sluice_args *args);

#ifdef __cplusplus
}
#endif
#endif
