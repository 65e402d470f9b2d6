/* SPDX-License-Identifier: MIT */
/* Which client a connection is of: its peer, or what a proxy says; and how many each may have. */
#ifndef SLUICE_COMMAND_SERVE_CLIENT_H
#define SLUICE_COMMAND_SERVE_CLIENT_H

#include "serve/connection.h"

/* Asks for the peer, if anything depends on it. */
void client_ask(struct connection *connection);

/* Whether the peer is a proxy that is trusted to name its clients. */
bool client_is_trusted(const struct connection *connection);

/* Counts the connection as one of this client's; false: the client has too many. */
bool client_count(struct connection *connection, struct proxy_address client);

/* The opposite, when the connection is over. */
void client_leave(struct connection *connection);

enum client_outcome {
	CLIENT_INCOMPLETE,
	CLIENT_WRONG,
	CLIENT_NAMED,
	CLIENT_TOO_MANY, /* named, and the client has too many connections */
};

/* Reads the header of a proxy from the front of data; ret_length is its length if it is complete. */
enum client_outcome client_take_preamble(struct connection *connection, const char *data,
					 size_t length, size_t *ret_length);

#endif
