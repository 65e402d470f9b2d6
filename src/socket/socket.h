/* SPDX-License-Identifier: MIT */
/* Sockets: operations of a record, cancel, connect, close, and freeing. */
#ifndef SLUICE_SRC_SOCKET_SOCKET_H
#define SLUICE_SRC_SOCKET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

struct sluice_args;
struct sluice_engine;
struct sluice_socket;

/* operations.c: dispatches on the record's operation. begin returns 0: completed; 1: pending. */
int sluice__operation_begin(struct sluice_socket *socket, struct sluice_args *args,
			    bool may_finish);
void sluice__operation_cancel(struct sluice_socket *socket, struct sluice_args *args);

/* cancel.c */
void sluice__cancel_marked(struct sluice_socket *socket);
void sluice__cancel_all(struct sluice_socket *socket);
void sluice__cancel_of_thread(struct sluice_socket *socket, uint32_t thread);
void sluice__cancel_overdue(struct sluice_args *args);

/* connect.c */
int sluice__connect_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish);
void sluice__connect_writable(struct sluice_socket *socket);
void sluice__connect_cancel(struct sluice_socket *socket, int32_t error, int32_t native);
void sluice__connect_cancel_record(struct sluice_socket *socket, struct sluice_args *args);
void sluice__connect_retry(struct sluice_socket *socket);
/* The end of a handshake. A failed one leaves the connection open for the alert to the peer. */
void sluice__connect_succeeded(struct sluice_socket *socket);
void sluice__connect_refused(struct sluice_socket *socket, int32_t error, int32_t native);

/* close.c: on the engine's thread */
void sluice__socket_end(struct sluice_socket *socket);
/* Makes every transition that is possible; called when a closing socket's request completes. */
void sluice__socket_advance_close(struct sluice_socket *socket);
void sluice__socket_close_timer(struct sluice_socket *socket);
/* The application has destroyed or detached the socket: its memory is freed once it is closed. */
void sluice__socket_handle_gone(struct sluice_socket *socket);
/* The caller owns the descriptor again. */
void sluice__socket_detached(struct sluice_socket *socket);
void sluice__socket_end_gracefully(struct sluice_socket *socket);
/* Arms the timer for the timeout of close_gracefully, unless a retry uses it. */
void sluice__socket_bound_graceful(struct sluice_socket *socket);
void sluice__socket_shut(struct sluice_socket *socket, bool receiving, bool sending);

/* socket.c */
struct sluice__marks *sluice__marks_of(struct sluice_socket *socket); /* NULL without memory */
/* Frees what the socket owns, and returns its memory to the pool. */
void sluice__socket_free(struct sluice_socket *socket);
/* Queues the socket for freeing after its last handler. */
void sluice__socket_defer_free(struct sluice_socket *socket);
void sluice__sockets_free_dead(struct sluice_engine *engine);
/* True if no Begin or End uses the socket. */
bool sluice__socket_apm_is_quiet(const struct sluice_socket *socket);

#endif
