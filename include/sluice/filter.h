/* SPDX-License-Identifier: MIT */
/*
 * A filter: code between a stream socket's queues and the kernel that transforms the bytes, as TLS
 * does. libsluice-tls is one. Applications do not need this header.
 *
 * The library does the sending and all bookkeeping: order, results, deadlines, water marks and
 * files work as without a filter. A byte counts as taken when the kernel has all output that the
 * filter made of it. The filter itself reads from the descriptor.
 *
 * Every function of a filter is called on the engine's thread and must not block, nor call sluice
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
	SLUICE_FILTER_LAST = 1, /* seal: these bytes, if all are consumed, end the stream */
	SLUICE_FILTER_PEEK = 2  /* receive: do not consume the bytes */
};

struct sluice_filter {
	size_t size; /* sizeof this */
	void *token; /* passed to every function */

	/*
	 * Advances the handshake, doing its own input and output on the descriptor. Returns 0 when
	 * it is complete: *ret_events are the directions that go through the filter from now on
	 * (the kernel filters the others). Returns -EAGAIN to be called again when one of
	 * *ret_events holds. Another negative errno: the handshake failed.
	 */
	int (*open)(void *token, uint32_t *ret_events);

	/*
	 * Turns bytes into output. Called only while there is no output. Returns the bytes
	 * consumed, from the first one on; the rest is passed again later. A negative errno fails
	 * the stream.
	 */
	int64_t (*seal)(void *token, const struct iovec *segments, size_t count, uint32_t flags);

	/* Returns the length of the output that the kernel has not taken yet, 0 for none. */
	size_t (*output)(void *token, const void **ret_base);

	/* Consumes output that the kernel took. Returns the sealed bytes that it completes. */
	uint64_t (*sent)(void *token, size_t bytes);

	/* Produces, once, the output that signals the end of the stream to the peer. */
	void (*end)(void *token);

	/*
	 * Receives. Returns bytes, 0 for an orderly end, -EAGAIN, or another negative errno. May
	 * produce output. flags: SLUICE_FILTER_PEEK.
	 */
	int64_t (*receive)(void *token, const struct iovec *segments, size_t count, uint32_t flags);

	/* Returns not 0 if receive would return bytes although the socket is not readable. */
	int (*pending)(void *token);

	/* Frees the filter: its socket is gone. */
	void (*destroy)(void *token);

	/*
	 * If the kernel filters what is sent: not 0 if the send buffer had no space for the message
	 * of end to the peer. A disconnect then calls end again when the socket is writable. May be
	 * NULL.
	 */
	int (*unended)(void *token);

	/*
	 * If the kernel filters what is sent: not 0 if shutdown(2) and close(2) would lose some of
	 * what it took: of the bytes, counted since open succeeded, or of what end told the peer.
	 * FIN is then not sent before this returns 0. May be NULL.
	 */
	int (*unpushed)(void *token, uint64_t bytes);
};

/*
 * Installs a filter on a connected stream and runs its handshake. The handshake is an operation of
 * the record: handler, deadline and cancel work as in a connect, and last_operation is CONNECT.
 * Operations started behind it wait, and end with NotConnected if it fails; a handshake that is
 * cancelled or times out resets the connection. The filter stays until the socket is destroyed or
 * disconnected for reuse, even if the handshake fails: then nothing is sent or received any more.
 * The struct is copied. The engine's thread. Returns 1: pending; -EINVAL; -EBADF; -EPERM: another
 * thread; -EOPNOTSUPP: not a stream; -ENOTCONN; -EALREADY: the socket has a filter; -EBUSY: the
 * record, a send or a receive is in progress; -ENOMEM. On error the filter is not destroyed. Since
 * 0.1.
 */
int sluice_filter_async(struct sluice_socket *socket, const struct sluice_filter *filter,
			struct sluice_args *args);

#ifdef __cplusplus
}
#endif
#endif
