/* SPDX-License-Identifier: MIT */
/*
 * Starting an operation with a record, and giving one up.
 *
 * Each returns 1: pending, the record's handler will run, exactly once, never inside the call; or
 * 0: completed at once, well or badly, the handler does not run and the record may be read; or a
 * negative errno: refused, nothing was started and the record is as it was. When several refusals
 * apply, the first of these is answered: NULL -EINVAL; socket closed or record disposed -EBADF;
 * record in progress -EBUSY; arguments -EINVAL, -ERANGE, -EOPNOTSUPP; the socket's state -ENOTCONN,
 * -EDESTADDRREQ, -EISCONN; files, as the kernel says; limits -ENOBUFS.
 *
 * Any thread may start an operation. From a thread that is not the engine's it is queued: 1.
 */
#ifndef SLUICE_OPERATIONS_H
#define SLUICE_OPERATIONS_H

#include <sluice/args.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sends the record's buffer or list (Socket.SendAsync). On a stream, success means that the kernel
 * took every byte and needs the buffer no longer, not that the peer has them: large sends to other
 * machines may go by zero copy, and end when the kernel releases the buffer (options.zerocopy). Sends
 * on one socket never interleave, and leave in the order in which they were started.
 * -ENOTCONN: never connected (a datagram socket without a remote: -EDESTADDRREQ). Since 0.1.
 */
int sluice_send_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Sends the record's buffer or list as one datagram to remote_address (Socket.SendToAsync). On a
 * connected stream the address is ignored. Since 0.1.
 */
int sluice_send_to_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Sends the record's packets, memory and files, in order (Socket.SendPacketsAsync). Paths are
 * opened, and descriptors looked at, before the first byte leaves. Files go by reference: what
 * others write into them before the peer has acknowledged may appear in the stream.
 * Not a connected stream: -EOPNOTSUPP. Files: -ENOENT, -EACCES, -EMFILE, -EBADF; not a regular
 * file: -EINVAL. Since 0.1.
 */
int sluice_send_packets_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Connects to remote_address (Socket.ConnectAsync). Sends and receives that are started after it,
 * from any thread, wait for it, and end with NotConnected if it fails. -EISCONN: connected already,
 * or disconnected without reuse. -ENOBUFS: thousands of connects are in progress. Since 0.1.
 */
int sluice_connect_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Accepts one connection (Socket.AcceptAsync); accept_socket is then a new socket of the
 * listener's engine, yours to destroy. -EINVAL: the socket does not listen. -EBUSY: also while
 * sluice_accept_start delivers connections. Since 0.1.
 */
int sluice_accept_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Ends the stream after the last byte that was started before it (Socket.DisconnectAsync): takes
 * its place in the send queue. This is a half-close: receiving goes on until the peer ends its side
 * (.NET ends both). With disconnect_reuse_socket the socket may connect again; its
 * descriptor is then a fresh one under the same number, without the options that were set on it.
 * -ENOTCONN: never connected. Since 0.1.
 */
int sluice_disconnect_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Receives what there is, one byte at least, into the record's receive buffer or list
 * (Socket.ReceiveAsync). The end of the stream is success with 0 bytes. With no room (a count of
 * 0) it waits until something can be read. Receives of one socket are served in order. A datagram
 * that does not fit into the buffer, or into the first 1,024 segments of the list, ends with
 * MessageSize and the bytes that fit; the rest is lost. -EBUSY: also while sluice_receive_start
 * delivers bytes. Since 0.1.
 */
int sluice_receive_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Receives one datagram, and who sent it (Socket.ReceiveFromAsync): as receive_async, and the
 * sender's address is written to from_address, from_capacity bytes of memory that stay yours until
 * the operation has ended. from_length is then the address's whole length: more than from_capacity
 * if it was cut, 0 where there is none (a stream, an unbound UNIX socket, an error). With no room it
 * waits and takes nothing, no address either. -EINVAL: also no from_address, or no room for one.
 * Since 0.1.
 */
int sluice_receive_from_async(struct sluice_socket *socket, struct sluice_args *args);

/*
 * Makes "pending", "over" and "refused" one: a call of the handler. answer is what a starting call of
 * this record and socket has just returned. 1: nothing to do, the handler will run. 0: the handler is
 * called now. Negative: the refusal becomes the record's result (error, native_error, 0 bytes) and the
 * handler is called now; unless the record is in progress with another operation, which keeps it.
 * Use it as sluice_args_complete(socket, args, sluice_send_async(socket, args)). The handler runs in the
 * calling thread and inside this call, with 0 and negative answers alone. Without a handler only the
 * result is written. The caller's thread.
 * 1: the handler was called or will be; -EINVAL: NULL for args; -EBUSY: in progress with another
 * operation, no call belongs to this start. Since 0.1.
 */
int sluice_args_complete(struct sluice_socket *socket, struct sluice_args *args, int answer);

/*
 * Gives up one operation: it ends with OperationAborted and the bytes already taken; the others go
 * on. The record must be alive. Any thread. 0: a handler will still run, perhaps with Success;
 * -ENOENT: not in progress on this socket; -EINVAL for NULL; -EBADF closed. Since 0.1.
 */
int sluice_cancel(struct sluice_socket *socket, struct sluice_args *args);

#ifdef __cplusplus
}
#endif
#endif
