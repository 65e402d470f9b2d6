/* SPDX-License-Identifier: MIT */
/*
 * Begin and End: each operation as a pair of calls (Socket.BeginSend, EndSend and their kin).
 *
 * A Begin starts the operation and hands out a result; its End waits until the operation is over
 * and returns its outcome. A callback, if there is one, runs when the operation is over, in one of
 * the engine's handler threads, never inside Begin; it may block, End other operations, Begin new
 * ones. The callbacks of one socket run one at a time, in the order in which their operations ended,
 * but while one waits in End or sluice_async_result_wait the next may begin. Callbacks of different
 * sockets run side by side. A callback may wait for an operation, not for another callback, and runs
 * with all signals blocked.
 *
 * Every Begin returns 0, and *ret_result is to be ended, once; or <0, whatever failed at once
 * (arguments, the socket's state, the network): then *ret_result is NULL and no callback runs.
 * Where it takes an error, that is always written: Success with 0, the SocketError with <0.
 * *ret_result and *error are written before the callback can run, and not touched afterwards.
 *
 * Every End returns what the operation brought, or -errno; where it takes an error, that is always
 * written. Refused are: NULL, the result of another socket or another kind of Begin -EINVAL; a
 * closed socket -EBADF; a second End -EALREADY; an operation that is not over, on the engine's own
 * thread, -EDEADLK. While it waits the engine has to be run. An End leaves only when the operation
 * is over, also when the socket is closed meanwhile: it answers -EBADF then. On the engine's own
 * thread, after a close, -EBADF may come while the operation still goes on, and with it the use of
 * its buffer: its callback, or sluice_async_result_is_completed, tells the end.
 *
 * Bytes, segments and file contents are never copied: they stay yours, unchanged, until the
 * operation is over. Addresses and paths are yours again when Begin returns, and so is an array of
 * up to SLUICE_INLINE_SEGMENTS segments; a longer one stays like the bytes.
 *
 * Results are the socket's, pooled with it: no allocation once as many exist as are out at once and
 * 16 more. Those never ended go with their socket. The pointer that Begin hands out is a number, not
 * an address, and no two operations of the process get the same one: a result that was ended is
 * recognised for good (-EALREADY; is_completed is 1, wait is 0), and so is one whose socket was
 * destroyed (-EINVAL, NULL). Any thread may Begin, End and wait; from a thread that is not the
 * engine's a Begin is queued.
 */
#ifndef SLUICE_ASYNC_H
#define SLUICE_ASYNC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <sluice/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_socket;
struct sluice_async_result; /* System.IAsyncResult */

/* System.AsyncCallback. The result is the one that Begin handed out. */
typedef void sluice_async_callback(struct sluice_async_result *result);

/*
 * Sends size bytes from offset into the length bytes at buffer (Socket.BeginSend, with and without
 * the SocketError). flags: SLUICE_FLAG_*. error and callback may be NULL.
 * 0; -EINVAL for NULL; -EBADF closed; -ERANGE for a bad offset or size; -EOPNOTSUPP for bad flags;
 * -ENOTCONN, -EDESTADDRREQ; -ENOBUFS; -ENOMEM; or the network's errno. Since 0.1.
 */
int sluice_begin_send(struct sluice_socket *socket, const void *buffer, size_t length,
		      int64_t offset, int64_t size, uint32_t flags, enum sluice_socket_error *error,
		      sluice_async_callback *callback, void *state,
		      struct sluice_async_result **ret_result);

/*
 * As sluice_begin_send, several buffers as if they were one (the overloads with a list). No
 * segments, or a segment NULL with a length: -EINVAL. Since 0.1.
 */
int sluice_begin_send_list(struct sluice_socket *socket, const struct iovec *segments,
			   size_t segment_count, uint32_t flags, enum sluice_socket_error *error,
			   sluice_async_callback *callback, void *state,
			   struct sluice_async_result **ret_result);

/*
 * Ends a sluice_begin_send or _list: waits until every byte was taken (of a PARTIAL send the first;
 * of a datagram, all or none) and returns how many (Socket.EndSend). error may be NULL. Any thread;
 * on the engine's own only once the operation is over. The bytes or -errno, as above. Since 0.1.
 */
int64_t sluice_end_send(struct sluice_socket *socket, struct sluice_async_result *result,
			enum sluice_socket_error *error);

/*
 * Sends one datagram to remote (Socket.BeginSendTo); on a connected stream the address is ignored.
 * As sluice_begin_send; -EINVAL also for an address that no family has. Since 0.1.
 */
int sluice_begin_send_to(struct sluice_socket *socket, const void *buffer, size_t length,
			 int64_t offset, int64_t size, uint32_t flags,
			 const struct sockaddr *remote, socklen_t remote_length,
			 sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result);

/* Ends it (Socket.EndSendTo). The bytes or -errno. Since 0.1. */
int64_t sluice_end_send_to(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Sends before, the file at path, and after (Socket.BeginSendFile). path NULL sends the memory
 * alone, memory NULL with length 0 sends nothing. flags: SLUICE_TRANSMIT_*. The path is opened in
 * this call. Not a connected stream: -EOPNOTSUPP. The file: -ENOENT, -EACCES, -EMFILE; -EINVAL
 * where it is not a regular file. Else as sluice_begin_send. Since 0.1.
 */
int sluice_begin_send_file(struct sluice_socket *socket, const char *path, const void *before,
			   size_t before_length, const void *after, size_t after_length,
			   uint32_t flags, sluice_async_callback *callback, void *state,
			   struct sluice_async_result **ret_result);

/* Ends it: waits until all of it was taken (Socket.EndSendFile). 0 or -errno. Since 0.1. */
int sluice_end_send_file(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Receives what there is, one byte at least, into size bytes from offset on of the length bytes at
 * buffer (Socket.BeginReceive). flags: OUT_OF_BAND, PEEK. As sluice_begin_send. Since 0.1.
 */
int sluice_begin_receive(struct sluice_socket *socket, void *buffer, size_t length, int64_t offset,
			 int64_t size, uint32_t flags, enum sluice_socket_error *error,
			 sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result);

/*
 * Ends it (Socket.EndReceive). The bytes, 0 at the end of the stream, or -errno. A datagram larger
 * than the buffer is -EMSGSIZE; sluice_async_result_bytes returns how much of it was received.
 * Since 0.1.
 */
int64_t sluice_end_receive(struct sluice_socket *socket, struct sluice_async_result *result,
			   enum sluice_socket_error *error);

/*
 * Receives one datagram and its sender's address (Socket.BeginReceiveFrom); else as
 * sluice_begin_receive. Since 0.1.
 */
int sluice_begin_receive_from(struct sluice_socket *socket, void *buffer, size_t length,
			      int64_t offset, int64_t size, uint32_t flags,
			      sluice_async_callback *callback, void *state,
			      struct sluice_async_result **ret_result);

/*
 * Ends it (Socket.EndReceiveFrom): the sender's address into the *from_length bytes at from, as far
 * as they hold it; *from_length is then its whole length. Both may be NULL. As
 * sluice_end_receive. Since 0.1.
 */
int64_t sluice_end_receive_from(struct sluice_socket *socket, struct sluice_async_result *result,
				struct sockaddr *from, socklen_t *from_length);

/*
 * Accepts one connection (Socket.BeginAccept). -EINVAL: the socket does not listen. Since 0.1.
 */
int sluice_begin_accept(struct sluice_socket *socket, sluice_async_callback *callback, void *state,
			struct sluice_async_result **ret_result);

/*
 * Ends it (Socket.EndAccept): *ret_accepted is a new socket of the listener's engine, yours to
 * destroy, or NULL. One that no End asked for is destroyed with the listener. 0 or -errno.
 * Since 0.1.
 */
int sluice_end_accept(struct sluice_socket *socket, struct sluice_async_result *result,
		      struct sluice_socket **ret_accepted);

/*
 * Connects to remote (Socket.BeginConnect). What is begun meanwhile waits for it. -EISCONN:
 * connected already. Since 0.1.
 */
int sluice_begin_connect(struct sluice_socket *socket, const struct sockaddr *remote,
			 socklen_t remote_length, sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result);

/* Ends it (Socket.EndConnect). 0 or -errno. Since 0.1. */
int sluice_end_connect(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Ends the stream after the last byte that was begun before it (Socket.BeginDisconnect). reuse not
 * 0: the socket may connect again. -ENOTCONN: never connected. Since 0.1.
 */
int sluice_begin_disconnect(struct sluice_socket *socket, int reuse,
			    sluice_async_callback *callback, void *state,
			    struct sluice_async_result **ret_result);

/* Ends it (Socket.EndDisconnect). 0 or -errno. Since 0.1. */
int sluice_end_disconnect(struct sluice_socket *socket, struct sluice_async_result *result);

/* The state that Begin was given (IAsyncResult.AsyncState). Any thread. NULL for NULL. Since 0.1. */
void *sluice_async_result_state(struct sluice_async_result *result);

/* The socket of the Begin. Any thread. NULL for NULL. Since 0.1. */
struct sluice_socket *sluice_async_result_socket(struct sluice_async_result *result);

/*
 * 1 when the operation is over, else 0 (IAsyncResult.IsCompleted). Any thread. -EINVAL for NULL.
 * Since 0.1.
 */
int sluice_async_result_is_completed(struct sluice_async_result *result);

/*
 * 1 when the operation was over before Begin returned, else 0; from a thread that is not the
 * engine's it never is (IAsyncResult.CompletedSynchronously). Any thread. -EINVAL for NULL.
 * Since 0.1.
 */
int sluice_async_result_completed_synchronously(struct sluice_async_result *result);

/*
 * Bytes that the operation moved, also where it failed: so much of it the stream now holds. To be
 * asked between the operation's end and its End; afterwards -EALREADY may be the answer. Any thread.
 * -EINVAL for NULL, -EAGAIN while it goes on. Since 0.1.
 */
int64_t sluice_async_result_bytes(struct sluice_async_result *result);

/*
 * Waits until the operation is over (IAsyncResult.AsyncWaitHandle.WaitOne): timeout_ns < 0 for
 * ever, 0 looks. Any thread; on the engine's own, where it is not over and timeout_ns is not 0:
 * -EDEADLK. 0 over; -ETIMEDOUT; -EINVAL for NULL; -EBADF where it can never be over (the owner
 * exited, or this is a forked child). Since 0.1.
 */
int sluice_async_result_wait(struct sluice_async_result *result, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
