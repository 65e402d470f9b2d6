/* SPDX-License-Identifier: MIT */
/* What the parts of contract_e_close share. */
#ifndef CONTRACT_E_CLOSE_H
#define CONTRACT_E_CLOSE_H

#include "support.h"

void close_without_handlers(struct fixture *fixture, struct sluice_socket *socket);

/* What the peer reads is the head's beginning, and then a reset. */
void assert_peer_reset(struct fixture *fixture, const struct blocked *blocked);

struct watched {
	int calls;
	bool bind_failed;
	struct sockaddr_in address; /* to bind again; no port: nothing */
	int type;
};

void on_closed(struct sluice_socket *socket, void *token);

#endif
