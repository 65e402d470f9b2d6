/* SPDX-License-Identifier: MIT */
/* A socket: a descriptor attached to an engine, with a send queue. */
#ifndef SLUICE_SOCKET_H
#define SLUICE_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;
struct sluice_socket;

/*
 * Runs once, on the engine's thread, when the queued bytes fall to low after they rose above high.
 */
typedef void sluice_drained_fn(struct sluice_socket *socket, void *token);

/*
 * Runs once, on the engine's thread, when the queued bytes have risen above high and the kernel
 * accepts no more for now. The drained handler follows.
 */
typedef void sluice_congested_fn(struct sluice_socket *socket, void *token);

/* Runs once, on the engine's thread, when the socket's descriptor has been closed. */
typedef void sluice_closed_fn(struct sluice_socket *socket, void *token);

/*
 * Attaches a descriptor to the engine, which takes ownership: it makes it non-blocking and
 * close-on-exec, and closes it in the end. The library detects whether it is connected or
 * listening. Any thread. Returns 0; -EBADF, -ENOTSOCK, -ENOMEM, -EINVAL, and the descriptor stays
 * yours. Since 0.1.
 */
int sluice_socket_attach(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket);

/*
 * Closes the socket. Pending operations complete with OperationAborted, later, in their handlers;
 * the handle stays valid, and calls on it return -EBADF. If sends were aborted the peer gets RST,
 * otherwise FIN after everything that the kernel holds; what the peer sends meanwhile is discarded
 * (options.close_linger_ns).
 *
 * The descriptor is closed, and the port freed, as follows. On the engine's thread: before this
 * returns if nothing is pending, else in a later turn. From another thread: a listener, a datagram
 * socket or an unconnected one before this returns, if the engine's thread is in sluice_engine_run
 * and runs no handler meanwhile; the call waits for it, a second at most. In all other cases a
 * later turn closes it, and the handler of sluice_socket_set_closed reports it. Any thread. Returns
 * 0, also for a second close; -EINVAL for NULL. Since 0.1.
 */
int sluice_socket_close(struct sluice_socket *socket);

/*
 * Destroys the handle, and closes the socket first if needed, as sluice_socket_close does. The
 * handle is invalid for the caller when this returns; its memory is freed after its last handler.
 * Pending operations end with OperationAborted; deliveries of accept_start and receive_start end
 * with their terminal call, in which their token may be freed. A graceful close in progress is cut
 * short: to avoid that, destroy in the handler of sluice_socket_set_closed. No other call on the
 * handle may run concurrently or follow: if several threads use it, count references and close it
 * first; a close may run concurrently with other calls. Any thread. NULL is allowed. Since 0.1.
 */
void sluice_socket_destroy(struct sluice_socket *socket);

/*
 * Shuts down one direction or both: how is SHUT_RD, SHUT_WR or SHUT_RDWR. Queued sends complete
 * with Shutdown immediately; the peer gets what was already taken, then FIN. Pending receives
 * complete as at the end of the stream. A close afterwards changes none of these results. To end
 * the stream after the last queued byte use sluice_disconnect_async. Any thread. Returns 0; -EBADF
 * closed; -ENOTCONN; -EINVAL. Since 0.1.
 */
int sluice_socket_shutdown(struct sluice_socket *socket, int how);

/*
 * Returns the descriptor, which the library still owns; -EBADF once closed. Any thread. Since 0.1.
 */
int sluice_socket_fd(struct sluice_socket *socket);

/*
 * Returns the bytes queued or in flight; file data is not counted. Any thread; exact on the
 * engine's. Since 0.1.
 */
size_t sluice_socket_queued_bytes(struct sluice_socket *socket);

/*
 * Detaches the descriptor: it is yours again, still non-blocking, and the handle is freed. Fails if
 * anything is pending. The engine's thread, or any thread before the engine's first use.
 * Returns the descriptor; -EBUSY: operations are pending; -EBADF closed; -EPERM. Since 0.1.
 */
int sluice_socket_detach(struct sluice_socket *socket);

/*
 * Closes the socket after the last queued byte, or after timeout_ns as sluice_socket_close does (<
 * 0: no limit). As there, the descriptor stays open until the peer has acknowledged the last byte.
 * When this returns, new sends are refused with -EBADF. Any thread. Returns 0; -EBADF closed;
 * -EINVAL. Since 0.1.
 */
int sluice_socket_close_gracefully(struct sluice_socket *socket, int64_t timeout_ns);

/*
 * Cancels every operation in progress on the socket. Any thread. Returns 0; -EBADF closed. Since
 * 0.1.
 */
int sluice_socket_cancel_all(struct sluice_socket *socket);

/* Set and return a pointer for the caller. Any thread; not synchronised. Since 0.1. */
void sluice_socket_set_user_data(struct sluice_socket *socket, void *data);
void *sluice_socket_user_data(const struct sluice_socket *socket);

/* Returns the socket's engine. Any thread. Since 0.1. */
struct sluice_engine *sluice_socket_engine(const struct sluice_socket *socket);

/*
 * Sets the drained handler, called when the queue has fallen to low; NULL for none. The engine's
 * thread. Returns 0; -EINVAL for a NULL socket; -ENOMEM. Since 0.1.
 */
int sluice_socket_set_drained(struct sluice_socket *socket, sluice_drained_fn *drained,
			      void *token);

/*
 * Sets the congested handler, called when the queue has risen above high: the time to stop sending
 * to this peer; NULL for none. The engine's thread. Returns 0; -EINVAL for a NULL socket; -ENOMEM.
 * Since 0.1.
 */
int sluice_socket_set_congested(struct sluice_socket *socket, sluice_congested_fn *congested,
				void *token);

/*
 * Sets the closed handler, called when the descriptor has been closed and its port is free, by
 * whatever call the socket ended; NULL for none. The handle is valid inside it, even after a
 * destroy. Detach does not call it. Any thread, before the close. Returns 0; -EINVAL; -EBADF
 * closed; -ENOMEM. Since 0.1.
 */
int sluice_socket_set_closed(struct sluice_socket *socket, sluice_closed_fn *closed, void *token);

/*
 * Sets the water marks. The congested handler runs when the queued bytes have risen above high, the
 * drained handler when they fall to low again. A send that would raise them above limit is refused
 * with -ENOBUFS (0: no limit), but an empty queue accepts any one record. On the engine's thread
 * the queue is transmitted when it rises above high, and again before a send is refused, also in a
 * handler or a batch: only what the kernel does not accept counts. From other threads the limit
 * also counts what the engine's thread has not processed yet, and with SLUICE_TRANSMIT_WAY_RING or
 * a submission thread what the kernel has not completed. If more than high is queued already, the
 * drained handler runs when it falls to low; the congested handler does not run. The engine's
 * thread. Returns 0; -EINVAL for low > high. Since 0.1.
 */
int sluice_socket_set_water_marks(struct sluice_socket *socket, size_t low_bytes, size_t high_bytes,
				  size_t limit_bytes);

/* Options of a socket. The last two are kernel options, which accepted sockets inherit. */
enum {
	/* not 0: cancelling or timing out a partly sent record ends the stream; default 0 */
	SLUICE_SOCKET_END_ON_GIVE_UP = 1,
	/*
	 * Maximum rate of TCP, in bytes per second (SO_MAX_PACING_RATE); 0: no limit; default 0.
	 * Other sockets are paced only by the fq queueing discipline.
	 */
	SLUICE_SOCKET_RATE_BYTES_PER_SECOND = 2,
	/*
	 * The kernel takes more of a TCP stream only while it holds fewer unsent bytes than this
	 * (TCP_NOTSENT_LOWAT); the rest stays in the socket's queue, where it can be cancelled.
	 * Bytes in flight do not count. 0: the system's net.ipv4.tcp_notsent_lowat; default 0.
	 */
	SLUICE_SOCKET_UNSENT_LOW_BYTES = 3
};

/*
 * Sets an option of the socket. The engine's thread. Returns 0; -EINVAL for an unknown option or a
 * value out of range; -EBADF closed; -EOPNOTSUPP if the socket does not support it. Since 0.1.
 */
int sluice_socket_set_option(struct sluice_socket *socket, int option, int64_t value);

#ifdef __cplusplus
}
#endif
#endif
