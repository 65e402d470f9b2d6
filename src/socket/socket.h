/* SPDX-License-Identifier: MIT */
/* Sockets: what a record does with one, how it ends, and how it is freed. */
#ifndef SLUICE_SRC_SOCKET_SOCKET_H
#define SLUICE_SRC_SOCKET_SOCKET_H

#include "engine/socket.h"

struct sluice_args;

/* socket/operations.c: by the record's operation. 0: it ended inside the call; 1: it goes on. */
int sluice__operation_begin(struct sluice_socket *socket, struct sluice_args *args,
			    bool may_finish);
void sluice__operation_give_up(struct sluice_socket *socket, struct sluice_args *args);

/* socket/cancel.c: cancel and deadline. */
void sluice__give_up_marked(struct sluice_socket *socket);
void sluice__give_up_all(struct sluice_socket *socket);
void sluice__give_up_of_thread(struct sluice_socket *socket, uint32_t number);
void sluice__give_up_overdue(struct sluice_args *args);

/* connect.c */
int sluice__connect_begin(struct sluice_socket *socket, struct sluice_args *args, bool may_finish);
void sluice__connect_writable(struct sluice_socket *socket);
void sluice__connect_give_up(struct sluice_socket *socket, int32_t error, int32_t native);
void sluice__connect_give_up_one(struct sluice_socket *socket, struct sluice_args *args);
void sluice__connect_retry(struct sluice_socket *socket);
/* A handshake ended. A refused one leaves the connection open, for what it told the peer. */
void sluice__connect_succeeded(struct sluice_socket *socket);
void sluice__connect_refused(struct sluice_socket *socket, int32_t error, int32_t native);

/* close.c: on the engine's thread. */
void sluice__socket_end(struct sluice_socket *socket);
/* Goes on from phase to phase as far as it can: a request of a closing socket is back. */
void sluice__socket_advance_close(struct sluice_socket *socket);
void sluice__socket_close_timer(struct sluice_socket *socket);
/* Its descriptor is the caller's from now on. */
void sluice__socket_detached(struct sluice_socket *socket);
void sluice__socket_end_gracefully(struct sluice_socket *socket);
/* Arms the timer for the bound of close_gracefully, unless a retry has it. */
void sluice__socket_bound_graceful(struct sluice_socket *socket);
void sluice__socket_shut(struct sluice_socket *socket, bool receiving, bool sending);

/* socket.c */
struct sluice__marks *sluice__marks_of(struct sluice_socket *socket); /* NULL without memory */
/* Frees what belongs to it, and gives its memory back. */
void sluice__socket_free(struct sluice_socket *socket);
/* Out of the engine's list, to be freed when its last handler ran. */
void sluice__socket_defer_free(struct sluice_socket *socket);
void sluice__sockets_free_dead(struct sluice_engine *engine);
/* No Begin or End uses it. */
bool sluice__socket_apm_is_quiet(const struct sluice_socket *socket);

#endif
