/* SPDX-License-Identifier: MIT */
/*
 * What comes before the requests of a connection with TLS: perhaps the header of a proxy, then the
 * handshake. The first bytes are looked at before OpenSSL gets any: a silent connection costs no
 * session, and a request in plain HTTP gets an answer.
 */
#ifndef SLUICE_COMMAND_SERVE_OPENING_H
#define SLUICE_COMMAND_SERVE_OPENING_H

#include <stdbool.h>

struct connection;
struct opening;

/*
 * Begins; connection->opening is it until connection_opened() is called, which may be inside, and
 * may end the connection.
 */
void opening_begin(struct connection *connection);

/* The connection is about to be ended because it took too long. */
void opening_expired(struct opening *opening);

#endif
