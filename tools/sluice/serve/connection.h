/* SPDX-License-Identifier: MIT */
/*
 * One HTTP connection. It lives as follows:
 *
 * 1. accepted: the engine begins to receive, with TLS after its handshake (opening.h);
 * 2. requests are taken from what arrives, in order, and each is answered by a reply; a request
 *    whose file has to be looked for elsewhere stays in the input, and with it all behind it;
 * 3. closing: nothing more is read, what was started is sent to its end;
 * 4. lingering, only where the client may still be sending: our side is shut, and what arrives is
 *    thrown away, because closing at once would reset the connection and lose our last answer;
 * 5. ended: the socket is gone, its last handlers are to come;
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
	struct link link; /* in the worker's list, until it has ended */
	struct cache_waiter waiter;
	struct worker *worker;
	struct sluice_socket *socket;
	struct opening
		*opening;    /* of a connection with TLS, until its handshake is over; or NULL */
	struct input *input; /* bytes that could not be taken yet, or NULL */
	struct found found;  /* what the request at the front of the input waited for */
	uint64_t body_left;  /* bytes of a body that is thrown away */
	struct deadline deadline;
	struct proxy_address client;  /* if it was asked for, or a proxy has named it */
	struct proxy_address counted; /* known: it counts as one of this client's connections */
	uint32_t replies;             /* on their way */
	uint16_t answer_status;       /* of the page that is searched for; 0: its own */
	uint8_t phase;
	uint8_t stage;   /* of the search that waits: see search.c */
	uint8_t kind;    /* of the listener: an enum listen_kind */
	bool preamble;   /* the header of a proxy is to come */
	bool plain;      /* HTTP without TLS where there should be TLS */
	bool receiving;  /* the engine's last call is to come */
	bool pausing;    /* it was told to stop receiving */
	bool waiting;    /* for a look at a file */
	bool has_found;  /* found is valid: only while the waiter is being called */
	bool incomplete; /* the input is a part of a head */
	bool closing;
	bool surplus; /* the client may have sent more than was read */
	bool at_end;  /* the client sends no more */
	bool broken;
	bool refused; /* one too many: it is told so */
	bool ended;
};

/* Begins with a socket that a listener of this kind accepted, and owns it. One too many is refused with 503. */
void connection_begin(struct worker *worker, struct sluice_socket *socket, uint8_t kind,
		      bool too_many);

/* The opening is over: requests can be received, or the connection ends. It may be freed by this. */
void connection_opened(struct connection *connection, bool success);

/* Bytes that wait to be taken. */
bool connection_save_input(struct connection *connection, const char *data, size_t length);
const char *connection_input(const struct connection *connection);
size_t connection_input_length(const struct connection *connection);
void connection_drop_input(struct connection *connection);

/*
 * The client of a request, which may be NULL: what a proxy says that is trusted, or the peer. Not
 * known if that was never asked for.
 */
struct proxy_address connection_client(const struct connection *connection,
				       const struct request *request);

/* A reply has ended. */
void connection_sent(struct connection *connection);

/* Once a second: ends what is overdue. */
void connection_check(struct connection *connection);

/* Ends it after what is being sent, or at once. */
void connection_drain(struct connection *connection);
void connection_end(struct connection *connection);

#endif
