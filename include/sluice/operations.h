/* SPDX-License-Identifier: MIT */
/*
 * Starting operations with a record, and cancelling them.
 *
 * Each start returns 1: pending, the record's handler will run exactly once, never inside the call;
 * or 0: completed synchronously, successfully or not; the handler does not run and the results may
 * be read; or a negative errno: refused, nothing was started and the record is unchanged. If
 * several refusals apply, the first of this list is returned: NULL -EINVAL; socket closed or record
 * disposed -EBADF; record in progress -EBUSY; arguments -EINVAL, -ERANGE, -EOPNOTSUPP; the socket's
 * state -ENOTCONN, -EDESTADDRREQ, -EISCONN; files, the kernel's errno; limits -ENOBUFS.
 *
 * Any thread may start an operation. From a thread other than the engine's it is queued: 1.
 * Exception: a send of one buffer on a stream, without a time-out and without flags other than
 * EAGER, may be made in that thread; then it has completed: 0. This happens if other threads have
 * sent one record at a time on the socket and nothing of it is queued; SLUICE_FLAG_BATCHED prevents
 * it. It costs nothing on a socket that only the engine's thread sends on; on others that thread
 * may have to wait for a non-blocking send(2) that another thread is making on the same socket.
 */
#ifndef SLUICE_OPERATIONS_H
#define SLUICE_OPERATIONS_H

#include <sluice/args.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sends the record's buffer or list (Socket.SendAsync). On a stream, success means that the kernel
 * took every byte and no longer needs the buffer, not that the peer has received them: large sends
 * to other machines may use zero copy and complete when the kernel releases the buffer
 * (options.zerocopy). Sends on a socket never interleave and go out in the order they were started.
 * -ENOTCONN: never connected (a datagram socket without a remote: -EDESTADDRREQ). Since 0.1.
 */
int sluice_send_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Sends the record's buffer or list as one datagram to remote_address (Socket.SendToAsync). On a
 * connected stream the address is ignored. Since 0.1.
 */
int sluice_send_to_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Sends the record's packets, memory and files, in order (Socket.SendPacketsAsync). All paths are
 * opened and all descriptors checked before the first byte is sent. Files are sent by reference:
 * what other processes write into them before the peer has acknowledged the data may appear in the
 * stream. -EOPNOTSUPP: not a connected stream. Files: -ENOENT, -EACCES, -EMFILE, -EBADF; -EINVAL:
 * not a regular file; sluice_packets_find_refused says which. Since 0.1.
 */
int sluice_send_packets_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Connects to remote_address (Socket.ConnectAsync). Sends and receives that any thread starts
 * afterwards wait for it; if it fails, they end with NotConnected. -EISCONN: already connected, or
 * disconnected without reuse. -ENOBUFS: thousands of connects are in progress. Since 0.1.
 */
int sluice_connect_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Accepts one connection (Socket.AcceptAsync). accept_socket is then a new socket of the listener's
 * engine, yours to destroy. -EINVAL: the socket does not listen. -EBUSY: also while
 * sluice_accept_start delivers connections. Since 0.1.
 */
int sluice_accept_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Ends the stream after the last byte that was started before it (Socket.DisconnectAsync); it takes
 * its place in the send queue. This is a half-close: receiving continues until the peer ends its
 * side (.NET ends both). With disconnect_reuse_socket the socket may connect again; its descriptor
 * is then a new one with the same number, without the socket options that were set on it.
 * -ENOTCONN: never connected. Since 0.1.
 */
int sluice_disconnect_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Receives what is available, at least one byte, into the record's receive buffer or list
 * (Socket.ReceiveAsync). The end of the stream is success with 0 bytes. With a count of 0 it waits
 * until the socket is readable. Receives of one socket are served in order. A datagram that does
 * not fit into the buffer, or into the first 1,024 segments of the list, ends with MessageSize and
 * the bytes that fit; the rest is lost. -EBUSY: also while sluice_receive_start delivers bytes.
 * Since 0.1.
 */
int sluice_receive_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Receives one datagram and its sender's address (Socket.ReceiveFromAsync). Like
 * sluice_receive_async, and it writes the address to from_address, from_capacity bytes of memory
 * that stay the caller's until the operation has completed. from_length is then the full length of
 * the address: more than from_capacity if it was truncated, 0 if there is none (a stream, an
 * unbound UNIX socket, an error). With a count of 0 it waits until the socket is readable and
 * consumes nothing, not even an address. -EINVAL: also a NULL from_address or a from_capacity of 0.
 * Since 0.1.
 */
int sluice_receive_from_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Calls the handler for synchronous completions and refusals too, so that every start ends in the
 * handler. answer is what a starting call of this record and socket has just returned. 1: does
 * nothing, the handler will run. 0: calls the handler. Negative: the refusal becomes the record's
 * result (error, native_error, 0 bytes), then the handler is called; unless the record is in
 * progress with another operation, which keeps it. Use it as sluice_args_complete(socket, args,
 * sluice_send_async(socket, args)). The handler runs on the calling thread, inside this call.
 * Without a handler only the result is written. The thread that made the starting call. Returns 1:
 * the handler was called or will be; -EINVAL: args is NULL; -EBUSY: in progress with another
 * operation, no handler runs for this start. Since 0.1.
 */
int sluice_args_complete(struct sluice_socket *socket, struct sluice_args *args, int answer);

/*
 * Cancels one operation: it ends with OperationAborted and the bytes already taken. Other
 * operations continue. The record's memory must still be valid. Any thread. Returns 0: a handler
 * will still run, perhaps with Success; -ENOENT: not in progress on this socket; -EINVAL for NULL;
 * -EBADF closed. Since 0.1.
 */
int sluice_cancel(struct sluice_socket *socket, struct sluice_args *args);

#ifdef __cplusplus
}
#endif
#endif
