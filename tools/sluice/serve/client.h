/* SPDX-License-Identifier: MIT */
/* The client of a connection, which is its peer or named by a proxy, and the limit per client. */
#ifndef SLUICE_COMMAND_SERVE_CLIENT_H
#define SLUICE_COMMAND_SERVE_CLIENT_H

#include "serve/connection.h"

struct client_reports;

/* Determines the peer, if it is needed. */
void client_ask(struct connection *connection);

/* Whether the peer is a proxy trusted to name its clients. */
bool client_is_trusted(const struct connection *connection);

/*
 * Whether a PROXY header of the peer is believed: of anybody without --trust-proxy, else of a trusted
 * proxy or of a UNIX socket.
 */
bool client_may_send_preamble(const struct connection *connection);

/*
 * Reports a failure, at most once a minute; the next message has the number of those between.
 * what precedes the client's address: "handshake with".
 */
void client_report(const struct connection *connection, struct client_reports *reports,
		   const char *what, const char *reason);

/* Counts the connection for this client; false: the client has too many. */
bool client_count(struct connection *connection, struct proxy_address client);

/* Undoes this when the connection ends. */
void client_leave(struct connection *connection);

enum client_outcome {
	CLIENT_INCOMPLETE,
	CLIENT_WRONG,
	CLIENT_NAMED,
	CLIENT_TOO_MANY, /* a client was named, but has too many connections */
};

/* Reads the PROXY header at the start of data; ret_length is its length if it is complete. */
enum client_outcome client_take_preamble(struct connection *connection, const char *data,
					 size_t length, size_t *ret_length);

#endif
