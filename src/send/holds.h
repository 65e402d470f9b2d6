/* SPDX-License-Identifier: MIT */
/* A transmission by zero copy: inside of this folder. */
#ifndef SLUICE_SRC_SEND_HOLDS_H
#define SLUICE_SRC_SEND_HOLDS_H

#include "send/send.h"

#include "backend/backend.h"

struct sluice__hold {
	struct sluice__request request; /* the first member, so that a completion finds the rest */
	struct sluice__hold *next;      /* in the ring of socket->holds */
	struct sluice__link link;       /* in the pool */
	struct sluice__chain done;
	const struct sluice_args *broken; /* half-sent by it; compared, never followed */
	bool taking;                      /* the result is being settled */
	bool told;                        /* it has come */
	bool learned;                     /* the policy was told what came of it */
};

/* NULL: as many wait for a notification as may, or there is no memory. */
struct sluice__hold *sluice__hold_take(struct sluice_engine *engine);
void sluice__hold_put(struct sluice_engine *engine, struct sluice__hold *hold);
/* The newest of the socket, and in flight. */
void sluice__hold_add(struct sluice_socket *socket, struct sluice__hold *hold);
/* Retires all that have both answers, from the oldest on. */
void sluice__hold_let_go(struct sluice_socket *socket);

#endif
