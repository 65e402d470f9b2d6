/* SPDX-License-Identifier: MIT */
/*
 * Begin and End: each operation as a pair of calls (Socket.BeginSend, EndSend and so on).
 *
 * A Begin starts the operation and returns a result; its End waits until the operation has
 * completed and returns its outcome. The callback, if any, runs after completion in one of the
 * engine's handler threads, never inside Begin; it may block, End other operations and Begin new
 * ones. The callbacks of one socket run one at a time, in the order in which their operations
 * completed; while one waits in End or sluice_async_result_wait, the next may begin. Callbacks of
 * different sockets run in parallel. A callback may wait for an operation, but not for another
 * callback. All signals are blocked in it.
 *
 * Every Begin returns 0, and *ret_result must be ended once; or a negative errno if it failed
 * immediately (arguments, the socket's state, the network): then *ret_result is NULL and no
 * callback runs. If Begin has an error parameter, it is always written: Success with 0, else the
 * SocketError. *ret_result and *error are written before the callback can run, and not touched
 * afterwards.
 *
 * Every End returns the operation's outcome or a negative errno; if it has an error parameter, that
 * is always written. It fails with -EINVAL for NULL and for a result of another socket or another
 * kind of Begin; with -EBADF if the socket is closed; with -EALREADY if the result was ended
 * before; with -EDEADLK on the engine's own thread if the operation has not completed. The engine
 * must be running while End waits. End returns only after the operation has completed, even if the
 * socket is closed meanwhile: it then returns -EBADF. Exception: on the engine's own thread, after
 * a close, it may return -EBADF while the operation is still in progress and its buffer in use; the
 * callback or sluice_async_result_is_completed then reports the completion.
 *
 * Bytes, segments and file contents need not be copied: they stay the caller's and must not
 * change until the operation has completed. Addresses and paths may be reused when Begin returns,
 * and so may an array of up to SLUICE_INLINE_SEGMENTS segments; a longer array must live as long as
 * the bytes.
 *
 * Results belong to the socket, which pools them: Begin allocates nothing once the pool holds 16
 * more results than are in use at the same time. Results that are never ended are freed with their
 * socket. The pointer that Begin returns is a handle, not an address, and is unique in the process:
 * a result that was ended is recognised forever (-EALREADY; is_completed returns 1, wait 0), and so
 * is one whose socket was destroyed (-EINVAL, NULL). Any thread may Begin, End and wait; a Begin
 * from a thread other than the engine's is queued, with the exception that sluice/operations.h
 * describes.
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

/* System.AsyncCallback; result is the one that Begin returned. */
typedef void sluice_async_callback(struct sluice_async_result *result);

/*
 * Starts to send size bytes at offset of the length bytes at buffer (Socket.BeginSend, with and
 * without the SocketError). flags: SLUICE_FLAG_*. error and callback may be NULL.
 * Returns 0; -EINVAL for NULL; -EBADF closed; -ERANGE for a bad offset or size; -EOPNOTSUPP for bad
 * flags; -ENOTCONN, -EDESTADDRREQ; -ENOBUFS; -ENOMEM; or the network's errno. Since 0.1.
 */
int sluice_begin_send(struct sluice_socket *socket, const void *buffer, size_t length,
		      int64_t offset, int64_t size, uint32_t flags, enum sluice_socket_error *error,
		      sluice_async_callback *callback, void *state,
		      struct sluice_async_result **ret_result);

/*
 * Starts to send several buffers as if they were one (the overloads with a list). Otherwise like
 * sluice_begin_send. -EINVAL: no segments, or a segment that is NULL with a length. Since 0.1.
 */
int sluice_begin_send_list(struct sluice_socket *socket, const struct iovec *segments,
			   size_t segment_count, uint32_t flags, enum sluice_socket_error *error,
			   sluice_async_callback *callback, void *state,
			   struct sluice_async_result **ret_result);

/*
 * Ends a sluice_begin_send or _list (Socket.EndSend): waits until the kernel took every byte (of a
 * PARTIAL send, any bytes; of a datagram, all or none). error may be NULL. Any thread; on the
 * engine's own only after completion. Returns the number of bytes, or a negative errno as above.
 * Since 0.1.
 */
int64_t sluice_end_send(struct sluice_socket *socket, struct sluice_async_result *result,
			enum sluice_socket_error *error);

/*
 * Starts to send one datagram to remote (Socket.BeginSendTo). On a connected stream the address is
 * ignored. Otherwise like sluice_begin_send. -EINVAL: also an invalid address. Since 0.1.
 */
int sluice_begin_send_to(struct sluice_socket *socket, const void *buffer, size_t length,
			 int64_t offset, int64_t size, uint32_t flags,
			 const struct sockaddr *remote, socklen_t remote_length,
			 sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result);

/* Ends a sluice_begin_send_to (Socket.EndSendTo). Returns bytes or a negative errno. Since 0.1. */
int64_t sluice_end_send_to(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Starts to send before, the file at path, and after (Socket.BeginSendFile). If path is NULL, only
 * the memory is sent; memory that is NULL with a length of 0 is skipped. flags: SLUICE_TRANSMIT_*.
 * The path is opened in this call. Otherwise like sluice_begin_send. -EOPNOTSUPP: the socket is not
 * a connected stream. The file: -ENOENT, -EACCES, -EMFILE; -EINVAL if it is not a regular file.
 * Since 0.1.
 */
int sluice_begin_send_file(struct sluice_socket *socket, const char *path, const void *before,
			   size_t before_length, const void *after, size_t after_length,
			   uint32_t flags, sluice_async_callback *callback, void *state,
			   struct sluice_async_result **ret_result);

/*
 * Ends a sluice_begin_send_file: waits until the kernel took everything (Socket.EndSendFile).
 * Returns 0 or a negative errno. Since 0.1.
 */
int sluice_end_send_file(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Starts to receive what is available, at least one byte, into size bytes at offset of the length
 * bytes at buffer (Socket.BeginReceive). flags: OUT_OF_BAND, PEEK. Otherwise like
 * sluice_begin_send. Since 0.1.
 */
int sluice_begin_receive(struct sluice_socket *socket, void *buffer, size_t length, int64_t offset,
			 int64_t size, uint32_t flags, enum sluice_socket_error *error,
			 sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result);

/*
 * Starts to receive into several buffers, which are filled in order (the overloads with a list).
 * Otherwise like sluice_begin_receive. -EINVAL: no segments, or a segment that is NULL with a
 * length. Since 0.1.
 */
int sluice_begin_receive_list(struct sluice_socket *socket, const struct iovec *segments,
			      size_t segment_count, uint32_t flags, enum sluice_socket_error *error,
			      sluice_async_callback *callback, void *state,
			      struct sluice_async_result **ret_result);

/*
 * Ends a sluice_begin_receive or _list (Socket.EndReceive). Returns the bytes, 0 at the end of the
 * stream, or a negative errno. A datagram larger than the buffer gives -EMSGSIZE;
 * sluice_async_result_bytes returns how much of it was received (.NET: SocketFlags.Truncated).
 * Since 0.1.
 */
int64_t sluice_end_receive(struct sluice_socket *socket, struct sluice_async_result *result,
			   enum sluice_socket_error *error);

/*
 * Starts to receive one datagram and its sender's address (Socket.BeginReceiveFrom). Otherwise like
 * sluice_begin_receive. Since 0.1.
 */
int sluice_begin_receive_from(struct sluice_socket *socket, void *buffer, size_t length,
			      int64_t offset, int64_t size, uint32_t flags,
			      sluice_async_callback *callback, void *state,
			      struct sluice_async_result **ret_result);

/*
 * Ends a sluice_begin_receive_from (Socket.EndReceiveFrom). Writes the sender's address to the
 * *from_length bytes at from, truncated if it does not fit, and its full length to *from_length.
 * Both may be NULL. Otherwise like sluice_end_receive. Since 0.1.
 */
int64_t sluice_end_receive_from(struct sluice_socket *socket, struct sluice_async_result *result,
				struct sockaddr *from, socklen_t *from_length);

/*
 * Starts to accept one connection (Socket.BeginAccept). -EINVAL: the socket does not listen.
 * Since 0.1.
 */
int sluice_begin_accept(struct sluice_socket *socket, sluice_async_callback *callback, void *state,
			struct sluice_async_result **ret_result);

/*
 * Ends a sluice_begin_accept (Socket.EndAccept). *ret_accepted is a new socket of the listener's
 * engine, yours to destroy, or NULL. A connection whose result is never ended is destroyed with the
 * listener. Returns 0 or a negative errno. Since 0.1.
 */
int sluice_end_accept(struct sluice_socket *socket, struct sluice_async_result *result,
		      struct sluice_socket **ret_accepted);

/*
 * Starts to connect to remote (Socket.BeginConnect). Operations begun meanwhile wait for it.
 * -EISCONN: already connected. Since 0.1.
 */
int sluice_begin_connect(struct sluice_socket *socket, const struct sockaddr *remote,
			 socklen_t remote_length, sluice_async_callback *callback, void *state,
			 struct sluice_async_result **ret_result);

/* Ends a sluice_begin_connect (Socket.EndConnect). Returns 0 or a negative errno. Since 0.1. */
int sluice_end_connect(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Starts to end the stream after the last byte that was begun before it (Socket.BeginDisconnect).
 * If reuse is not 0, the socket may connect again. -ENOTCONN: never connected. Since 0.1.
 */
int sluice_begin_disconnect(struct sluice_socket *socket, int reuse,
			    sluice_async_callback *callback, void *state,
			    struct sluice_async_result **ret_result);

/* Ends a sluice_begin_disconnect (Socket.EndDisconnect). 0 or a negative errno. Since 0.1. */
int sluice_end_disconnect(struct sluice_socket *socket, struct sluice_async_result *result);

/*
 * Returns the state that was passed to Begin (IAsyncResult.AsyncState), or NULL for NULL. Any
 * thread. Since 0.1.
 */
void *sluice_async_result_state(struct sluice_async_result *result);

/* Returns the socket that was passed to Begin, or NULL for NULL. Any thread. Since 0.1. */
struct sluice_socket *sluice_async_result_socket(struct sluice_async_result *result);

/*
 * Returns 1 if the operation has completed, else 0 (IAsyncResult.IsCompleted). Any thread. -EINVAL
 * for NULL. Since 0.1.
 */
int sluice_async_result_is_completed(struct sluice_async_result *result);

/*
 * Returns 1 if the operation completed before Begin returned, else 0
 * (IAsyncResult.CompletedSynchronously). Any thread. -EINVAL for NULL. Since 0.1.
 */
int sluice_async_result_completed_synchronously(struct sluice_async_result *result);

/*
 * Returns the bytes that the operation transferred; valid on error too. Call it between completion
 * and End; after End it may return -EALREADY. Any thread. -EINVAL for NULL, -EAGAIN while the
 * operation is in progress. Since 0.1.
 */
int64_t sluice_async_result_bytes(struct sluice_async_result *result);

/*
 * Waits until the operation has completed (IAsyncResult.AsyncWaitHandle.WaitOne). timeout_ns < 0
 * waits without limit, 0 polls. Any thread; on the engine's own thread it returns -EDEADLK if the
 * operation has not completed and timeout_ns is not 0. Returns 0 when completed; -ETIMEDOUT;
 * -EINVAL for NULL; -EBADF if it can never complete (the owner thread exited, or this is a forked
 * child). Since 0.1.
 */
int sluice_async_result_wait(struct sluice_async_result *result, int64_t timeout_ns);

/*
 * Cancels the operation, as sluice_cancel does: it ends with OperationAborted and the bytes already
 * taken, its callback runs, and it must be ended as any other. A deadline is
 * sluice_async_result_wait with a timeout, then this, then End. Any thread. Returns 0: it will end,
 * perhaps with success; -ENOENT: it has completed, ended or not; -EBADF: the socket is closed;
 * -EINVAL for NULL. Since 0.1.
 */
int sluice_async_result_cancel(struct sluice_async_result *result);

#ifdef __cplusplus
}
#endif
#endif
