/* SPDX-License-Identifier: MIT */
/*
 * A connection with a secret: TLS 1.3 with the secret as a pre-shared key and an ephemeral key
 * exchange. Before it each end says HELLO in the clear, so that ends that do not fit can say why.
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

/* EXIT_OK; EXIT_USAGE, and it was said that this program knows no TLS. */
int secure_check(const char *command);

/* Reads the file. EXIT_OK, or the exit code, and it was said what is wrong. */
int secure_create(const char *command, const char *path, bool receiver, struct secure **ret_secure);

/* NULL is allowed; no socket that used it is left. */
void secure_destroy(struct secure *secure);

struct secure_greeting {
	struct sluice_engine *engine;
	struct sluice_socket *socket;
	uint64_t timeout_ns;
	const volatile sig_atomic_t *stopping; /* once not 0, ends it; may be NULL */
	unsigned char heard[WIRE_HELLO_BYTES]; /* what the other end said in the clear */
	size_t heard_length;
};

/*
 * HELLO and the handshake, on a socket that is connected; turns the engine. 0; -errno or TRANSFER_*:
 * nothing more can be done with the socket, but for one case: if the other end does not begin with
 * the HELLO of one that has a secret, a receiver gets TRANSFER_NO_SECRET, has answered nothing, and
 * what it heard is in the greeting.
 */
int secure_greet(struct secure *secure, struct secure_greeting *greeting);

#endif
