/* SPDX-License-Identifier: MIT */
/* `sluice send` over an established connection: HELLO, the files, BYE. */
#ifndef SLUICE_COMMAND_TRANSFER_SEND_SESSION_H
#define SLUICE_COMMAND_TRANSFER_SEND_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sluice_engine;
struct sluice_socket;

struct send_options {
	const char *name; /* of standard input, at the receiver */
	const char *trace;
	const char *secret; /* the secret file; NULL: none */
	uint64_t backend;
	uint64_t tls_way; /* SLUICE_TLS_WAY_* */
	uint64_t timeout_s;
	bool restart; /* what the receiver has is sent again */
	bool quiet;
};

/*
 * Sends the files; "-" is the standard input. Takes over the socket. Returns the exit code of the
 * first failure.
 */
int send_session(struct sluice_engine *engine, struct sluice_socket *socket, char **paths,
		 size_t count, const struct send_options *options);

#endif
