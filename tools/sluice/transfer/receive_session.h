/* SPDX-License-Identifier: MIT */
/* One connection of `sluice receive`: from its greeting to its end. */
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
	const char *secret;     /* the file of one; NULL: none */
	const char *new_secret; /* to be made */
	uint64_t port;          /* 65536: not given */
	uint64_t backend;
	uint64_t timeout_s;
	uint64_t max_size;    /* of a file; 0: none */
	uint64_t max_pause_s; /* 0: a default */
	bool once;
	bool overwrite;
	bool dotfiles;
	bool sync;
	bool quiet;
	bool insecure; /* connections of others without a secret */
};

/* What the other end said in the clear, where it should have begun as one that has the secret. */
struct receive_heard {
	const void *bytes;
	size_t length;
};

/*
 * Serves the connection to its end, turning the engine; the socket is the session's. Returns the
 * exit code: EXIT_OK where everything that was offered was stored. *stopping, once not 0, ends it.
 * heard is what was read from the socket before; it is refused if a secret is wanted and this is
 * not NULL.
 */
int receive_session(struct sluice_engine *engine, struct sluice_socket *socket, struct store *store,
		    const struct receive_options *options, const volatile sig_atomic_t *stopping,
		    const struct receive_heard *heard);

#endif
