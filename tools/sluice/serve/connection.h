/* SPDX-License-Identifier: MIT */
/*
 * One HTTP connection and its life:
 *
 * 1. accepted: the engine starts to receive, with TLS after the handshake (opening.h);
 * 2. requests are parsed in order, and each is answered by a reply; a request whose file has to be
 *    looked up in another thread stays in the input, with everything behind it;
 * 3. closing: nothing more is read, pending replies are sent completely;
 * 4. lingering, only if the client may still be sending: our side is shut down, and input is
 *    discarded, because closing at once would reset the connection and lose the last reply;
 * 5. ended: the socket is closed, its last handlers are outstanding;
 * 6. freed, when they have run.
 *
 * An idle connection owns nothing but this structure.
 */
#ifndef SLUICE_COMMAND_SERVE_CONNECTION_H
#define SLUICE_COMMAND_SERVE_CONNECTION_H

#include "serve/deadline.h"
#include "serve/filecache.h"
#include "serve/proxy.h"
#include "serve/request.h"

struct input;
struct opening;
struct sluice_socket;
struct worker;

enum connection_phase {
	CONNECTION_HEAD, /* also before the first request */
	CONNECTION_IDLE,
	CONNECTION_BODY,
	CONNECTION_WRITE,
	CONNECTION_LINGER,
};

struct connection {
	struct link link; /* in the worker's list, until the connection has ended */
	struct cache_waiter waiter;
	struct worker *worker;
	struct sluice_socket *socket;
	struct opening
		*opening;    /* of a connection with TLS, until its handshake is done; or NULL */
	struct input *input; /* unprocessed bytes, or NULL */
	struct found found;  /* the lookup of the request at the front of the input */
	uint64_t body_left;  /* bytes of a body still to be discarded */
	struct deadline deadline;
	struct proxy_address client;  /* if it was determined, or named by a proxy */
	struct proxy_address counted; /* the connection is counted for this client */
	uint32_t replies;             /* not completed yet */
	uint16_t answer_status;       /* of the page that is searched for; 0: its own */
	uint8_t phase;
	uint8_t stage;   /* of the pending search: see search.c */
	uint8_t kind;    /* of the listener: an enum listen_kind */
	bool local;      /* the peer is a UNIX socket; like client, only if it was determined */
	bool preamble;   /* the PROXY header is still expected */
	bool plain;      /* HTTP without TLS on a port that requires it */
	bool receiving;  /* the engine's last call is outstanding */
	bool pausing;    /* receiving was stopped */
	bool waiting;    /* for a file lookup */
	bool has_found;  /* found is valid: only during the call of the waiter */
	bool incomplete; /* the input is an incomplete head */
	bool closing;
	bool surplus; /* the client may have sent more than was read */
	bool at_end;  /* the client ended its stream */
	bool broken;
	bool refused; /* over the limit: answered with 503 */
	bool ended;
};

/*
 * Starts a connection on a socket that a listener of this kind accepted, and owns it. One over the
 * limit is refused with 503.
 */
void connection_begin(struct worker *worker, struct sluice_socket *socket, uint8_t kind,
		      bool too_many);

/*
 * The opening is done: requests can be received, or the connection ends. May free the connection.
 */
void connection_opened(struct connection *connection, bool success);

/* Number of pending input bytes. */
bool connection_save_input(struct connection *connection, const char *data, size_t length);
const char *connection_input(const struct connection *connection);
size_t connection_input_length(const struct connection *connection);
void connection_drop_input(struct connection *connection);

/*
 * The client of a request, which may be NULL: named by a trusted proxy, or the peer. Unknown if it
 * was never determined.
 */
struct proxy_address connection_client(const struct connection *connection,
				       const struct request *request);

/* Called when a reply has completed. */
void connection_sent(struct connection *connection);

/* Once a second: closes overdue connections. */
void connection_check(struct connection *connection);

/* Ends the connection after pending replies, or at once. */
void connection_drain(struct connection *connection);
void connection_end(struct connection *connection);

#endif
