/* SPDX-License-Identifier: MIT */
/* One connection of `sluice receive`, from HELLO to its end. */
#ifndef SLUICE_COMMAND_TRANSFER_RECEIVE_SESSION_H
#define SLUICE_COMMAND_TRANSFER_RECEIVE_SESSION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transfer/store.h"

struct sluice_engine;
struct sluice_socket;

struct receive_options {
	const char *output;
	const char *bind;
	const char *trace;
	const char *secret;     /* the secret file; NULL: none */
	const char *new_secret; /* to be made */
	uint64_t port;          /* 65536: not given */
	uint64_t backend;
	uint64_t tls_way; /* SLUICE_TLS_WAY_* */
	uint64_t timeout_s;
	uint64_t max_size;    /* of a file; 0: no limit */
	uint64_t max_pause_s; /* 0: a default */
	bool once;
	bool overwrite;
	bool dotfiles;
	bool sync;
	bool quiet;
	bool insecure; /* connections without the secret */
};

/* What the peer sent in the clear if it did not start as a peer with the secret. */
struct receive_heard {
	const void *bytes;
	size_t length;
};

/*
 * Serves the connection to its end and runs the engine; takes over the socket. Returns the exit
 * code: EXIT_OK if everything offered was stored. *stopping not 0 ends the session. heard is what
 * was already read from the socket; it is refused if a secret is required and heard is not NULL.
 */
int receive_session(struct sluice_engine *engine, struct sluice_socket *socket, struct store *store,
		    const struct receive_options *options, const volatile sig_atomic_t *stopping,
		    const struct receive_heard *heard);

#endif
