/* SPDX-License-Identifier: MIT */
/*
 * The start of a connection with TLS: an optional PROXY header, then the handshake. The first bytes
 * are peeked at before OpenSSL gets any: a silent connection costs no session, and a plain HTTP
 * request gets a response.
 */
#ifndef SLUICE_COMMAND_SERVE_OPENING_H
#define SLUICE_COMMAND_SERVE_OPENING_H

#include <stdbool.h>

struct connection;
struct opening;

/*
 * Starts; connection->opening is set until connection_opened() is called, which may happen inside
 * this call, and may end the connection.
 */
void opening_begin(struct connection *connection);

/* Called before the connection is closed by a timeout. */
void opening_expired(struct opening *opening);

#endif
