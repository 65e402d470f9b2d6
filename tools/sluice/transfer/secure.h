/* SPDX-License-Identifier: MIT */
/*
 * A connection with a secret: TLS 1.3, with the secret as a pre-shared key and an ephemeral key
 * exchange. Before it, both sides send HELLO in the clear, so that mismatched sides can report the
 * reason.
 */
#ifndef SLUICE_COMMAND_TRANSFER_SECURE_H
#define SLUICE_COMMAND_TRANSFER_SECURE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transfer/wire.h"

struct sluice_engine;
struct sluice_socket;
struct secure;

/* EXIT_OK; EXIT_USAGE after reporting that this build has no TLS. */
int secure_check(const char *command);

/*
 * Reads the file; way is a SLUICE_TLS_WAY_*. EXIT_OK, or the exit code after the error was reported.
 */
int secure_create(const char *command, const char *path, bool receiver, uint64_t way,
		  struct secure **ret_secure);

/* NULL is allowed; no socket that used it may exist. */
void secure_destroy(struct secure *secure);

struct secure_greeting {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	uint64_t timeout_ns;
	const volatile sig_atomic_t *stopping; /* not 0 ends it; may be NULL */
	unsigned char heard[WIRE_HELLO_BYTES]; /* what the peer sent in the clear */
	size_t heard_length;
};

/*
 * Exchanges HELLO and runs the handshake on a connected socket; runs the engine. 0; -errno or
 * TRANSFER_*: the socket is unusable, with one exception: if the peer does not start with the HELLO
 * of a peer with a secret, a receiver gets TRANSFER_NO_SECRET, nothing was sent, and greeting holds
 * what was read.
 */
int secure_greet(struct secure *secure, struct secure_greeting *greeting);

#endif
