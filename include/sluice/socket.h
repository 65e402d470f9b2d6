/* SPDX-License-Identifier: MIT */
/* A socket: a descriptor given to an engine, with a send queue. */
#ifndef SLUICE_SOCKET_H
#define SLUICE_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;
struct sluice_socket;

/* Runs once, in the engine's thread, when the queue falls to low after it rose above high. */
typedef void sluice_drained_fn(struct sluice_socket *socket, void *token);

/*
 * Runs once, in the engine's thread, when the queue has risen above high and the kernel takes no
 * more for now. The drained handler follows.
 */
typedef void sluice_congested_fn(struct sluice_socket *socket, void *token);

/* Runs once, in the engine's thread, when the socket's descriptor has been closed. */
typedef void sluice_closed_fn(struct sluice_socket *socket, void *token);

/*
 * Takes the descriptor over: makes it non-blocking and close-on-exec, and closes it in the end.
 * Connected or not, listening or not: the library looks. Any thread.
 * 0; -EBADF, -ENOTSOCK, -ENOMEM, -EINVAL: it stays yours. Since 0.1.
 */
int sluice_socket_attach(struct sluice_engine *engine, int fd, struct sluice_socket **ret_socket);

/*
 * Ends the socket: what is pending completes with OperationAborted, later, through its handlers;
 * the handle stays valid and answers -EBADF. If sends were given up the peer gets RST, otherwise
 * FIN after everything that the kernel holds; what the peer sends meanwhile is discarded
 * (options.close_linger_ns).
 *
 * The descriptor is closed, and the port free, as follows. On the engine's thread: before the
 * return if nothing is pending, else in a later turn. From another thread: a listener, a datagram
 * socket or an unconnected one before the return, if the engine's thread is in sluice_engine_run
 * and runs no handler meanwhile; it is waited for, a second at most. In all other cases a later turn
 * closes it, and sluice_socket_set_closed tells when. Any thread. 0, also twice; -EINVAL for NULL.
 * Since 0.1.
 */
int sluice_socket_close(struct sluice_socket *socket);

/*
 * Closes it if need be, as sluice_socket_close does. The handle is gone for the caller at once; its
 * memory lives until its last handler ran. What is pending ends with OperationAborted; what
 * accept_start and receive_start deliver ends with their terminal call, where their token may be
 * freed. A graceful close that is still going on is cut short: destroy in the handler of
 * sluice_socket_set_closed instead. No other call on the handle may run meanwhile or follow: if several
 * threads use it, count references, and close first: that may run beside other calls.
 * Any thread. NULL is allowed. Since 0.1.
 */
void sluice_socket_destroy(struct sluice_socket *socket);

/*
 * Shuts one direction or both down: how is SHUT_RD, SHUT_WR or SHUT_RDWR. Queued sends complete
 * with Shutdown at once; the peer gets what was already taken, then FIN. Pending receives complete
 * as at the end of the stream. A close afterwards changes none of these results. To end after the
 * last queued byte use sluice_disconnect_async. Any thread. 0; -EBADF closed; -ENOTCONN; -EINVAL.
 * Since 0.1.
 */
int sluice_socket_shutdown(struct sluice_socket *socket, int how);

/* The descriptor, still the library's; -EBADF once closed. Any thread. Since 0.1. */
int sluice_socket_fd(struct sluice_socket *socket);

/*
 * Memory of accepted records that the kernel has not yet taken, in flight included, in bytes; file
 * elements count nothing. Any thread; exact in the engine's. Since 0.1.
 */
size_t sluice_socket_queued_bytes(struct sluice_socket *socket);

/*
 * Returns the descriptor, yours again and still non-blocking, and frees the handle. Only when
 * nothing is pending. The engine's thread, or any while the engine was not used yet.
 * The descriptor; -EBUSY; -EBADF closed; -EPERM. Since 0.1.
 */
int sluice_socket_detach(struct sluice_socket *socket);

/*
 * Closes after the last queued byte, or after timeout_ns as sluice_socket_close does (< 0: no
 * bound); that the peer has acknowledged the last byte is waited for as there. New sends are refused with -EBADF from the return on. Any thread. 0; -EBADF closed;
 * -EINVAL. Since 0.1.
 */
int sluice_socket_close_gracefully(struct sluice_socket *socket, int64_t timeout_ns);

/* Gives up everything in progress on the socket. Any thread. 0; -EBADF closed. Since 0.1. */
int sluice_socket_cancel_all(struct sluice_socket *socket);

/* A pointer of yours beside the socket. Any thread, unguarded. Since 0.1. */
void sluice_socket_set_user_data(struct sluice_socket *socket, void *data);
void *sluice_socket_user_data(const struct sluice_socket *socket);

/* The engine it belongs to. Any thread. Since 0.1. */
struct sluice_engine *sluice_socket_engine(const struct sluice_socket *socket);

/*
 * What runs when the queue has drained; NULL for none. The engine's thread. 0; -EINVAL for no
 * socket; -ENOMEM. Since 0.1.
 */
int sluice_socket_set_drained(struct sluice_socket *socket, sluice_drained_fn *drained,
			      void *token);

/*
 * What runs when the queue has risen above high: the time to stop sending to this peer; NULL for
 * none. The engine's thread. 0; -EINVAL for no socket; -ENOMEM. Since 0.1.
 */
int sluice_socket_set_congested(struct sluice_socket *socket, sluice_congested_fn *congested,
				void *token);

/*
 * What runs when the descriptor has been closed, and its port is free, by whatever call the socket
 * ended; NULL for none. The handle is valid inside, also after a destroy. Detach does not call it. Any thread, before the close. 0; -EINVAL; -EBADF closed; -ENOMEM.
 * Since 0.1.
 */
int sluice_socket_set_closed(struct sluice_socket *socket, sluice_closed_fn *closed, void *token);

/*
 * The congested handler runs when queued bytes have risen above high, the drained handler when they
 * fall to low again. A send that would take them above limit is refused with -ENOBUFS (0: no limit),
 * but an empty queue accepts any one record. On the engine's thread the kernel is offered the queue
 * when it rises above high, and again before a send is refused, also in a handler or a batch: what
 * counts is what the kernel does not take. From other threads the limit also counts what the
 * engine's thread has not seen yet, and with SLUICE_TRANSMIT_WAY_RING or a submission thread what
 * the kernel has not answered. The engine's thread. 0; -EINVAL for low > high. Since 0.1.
 */
int sluice_socket_set_water_marks(struct sluice_socket *socket, size_t low_bytes, size_t high_bytes,
				  size_t limit_bytes);

/* Options of a socket. The last two are the kernel's, and what a listener accepts inherits them. */
enum {
	/* not 0: a half-sent record that is cancelled or overdue ends the stream; default 0 */
	SLUICE_SOCKET_END_ON_GIVE_UP = 1,
	/*
	 * The most that TCP sends per second, in bytes (SO_MAX_PACING_RATE); 0: no limit; default 0.
	 * Other sockets are paced only by the fq queueing discipline.
	 */
	SLUICE_SOCKET_RATE_BYTES_PER_SECOND = 2,
	/*
	 * The kernel takes more of a TCP stream only while it holds fewer unsent bytes than this
	 * (TCP_NOTSENT_LOWAT); the rest stays in the socket's queue, where it can be cancelled. Bytes
	 * in flight do not count. 0: the system's net.ipv4.tcp_notsent_lowat; default 0.
	 */
	SLUICE_SOCKET_UNSENT_LOW_BYTES = 3
};

/*
 * The engine's thread. 0; -EINVAL for an unknown option, or a value out of its range; -EBADF closed;
 * -EOPNOTSUPP if the socket has no such option. Since 0.1.
 */
int sluice_socket_set_option(struct sluice_socket *socket, int option, int64_t value);

#ifdef __cplusplus
}
#endif
#endif
