/* SPDX-License-Identifier: MIT */
#include "serve/opening.h"

#include <errno.h>
#include <sluice/sluice.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "serve/certificates.h"
#include "serve/client.h"
#include "serve/worker.h"

#define LOOK_BYTES 256 /* read by MSG_PEEK */

struct opening {
	struct sluice_args args; /* first: handlers cast it to the opening */
	struct connection *connection;
	struct sluice_tls *tls; /* owned by the socket once the handshake has started */
	char bytes[LOOK_BYTES];
};

static void look(struct opening *opening);

/* Frees it; success: requests can be received now. */
static void finish(struct opening *opening, bool success)
{
	struct connection *connection = opening->connection;

	connection->opening = NULL;
	free(opening);
	connection_opened(connection, success);
}

/* ---- failures ---- */

static void fail(struct connection *connection, const char *reason)
{
	struct worker *worker = connection->worker;

	worker->metrics.counts.handshakes_failed++;
	client_report(connection, &worker->handshakes_failed, "handshake with", reason);
}

void opening_expired(struct opening *opening)
{
	if (opening->tls != NULL)
		fail(opening->connection, "timed out");
}

/* ---- the handshake ---- */

static void on_handshake(struct sluice_socket *socket, struct sluice_args *args)
{
	struct opening *opening = (struct opening *)args;
	struct connection *connection = opening->connection;
	struct metrics_counts *counts = &connection->worker->metrics.counts;
	bool success = args->error == SLUICE_ERROR_SUCCESS;

	/* The session is freed with the socket. */
	if (!connection->ended && success) {
		struct certificates_session session = certificates_session(opening->tls);

		counts->handshakes++;
		counts->handshakes_resumed += session.resumed;
		counts->tls_by_kernel += session.kernel;
	} else if (!connection->ended) {
		fail(connection, certificates_error(opening->tls));
	}
	finish(opening, success);
}

static void shake_hands(struct opening *opening)
{
	struct connection *connection = opening->connection;

	sluice_args_init(&opening->args);
	opening->args.completed = on_handshake;
	if (certificates_handshake(connection->worker->tls, connection->socket, &opening->args,
				   &opening->tls) != 1)
		finish(opening, false);
}

/* ---- the first bytes ---- */

/* Consumes bytes that were peeked at. */
static bool consume(struct opening *opening, size_t length)
{
	char bytes[LOOK_BYTES];

	return recv(sluice_socket_fd(opening->connection->socket), bytes, length, MSG_DONTWAIT) ==
	       (ssize_t)length;
}

/* Adds bytes of the PROXY header after those in the input. */
static void take_preamble(struct opening *opening, size_t length)
{
	struct connection *connection = opening->connection;
	size_t before = connection_input_length(connection), whole = 0;
	enum client_outcome outcome = CLIENT_WRONG;

	if (connection_save_input(connection, opening->bytes, length))
		outcome = client_take_preamble(connection, connection_input(connection),
					       before + length, &whole);
	if (outcome == CLIENT_NAMED)
		length = whole - before;
	if (outcome == CLIENT_WRONG || outcome == CLIENT_TOO_MANY || !consume(opening, length)) {
		finish(opening, false);
		return;
	}
	if (outcome == CLIENT_NAMED)
		connection_drop_input(connection);
	look(opening);
}

/* The first letter of a method, in place of the type of a TLS record. */
static bool is_plain(char first)
{
	return first >= 'A' && first <= 'Z';
}

static void on_looked(struct sluice_socket *socket, struct sluice_args *args)
{
	struct opening *opening = (struct opening *)args;
	struct connection *connection = opening->connection;

	if (connection->ended || args->error != SLUICE_ERROR_SUCCESS ||
	    args->bytes_transferred == 0) {
		finish(opening, false);
	} else if (connection->preamble) {
		take_preamble(opening, args->bytes_transferred);
	} else if (is_plain(opening->bytes[0])) {
		connection->plain = true;
		finish(opening, true);
	} else {
		shake_hands(opening);
	}
}

static void look(struct opening *opening)
{
	size_t most = opening->connection->preamble ? LOOK_BYTES : 1;

	sluice_args_init(&opening->args);
	opening->args.completed = on_looked;
	opening->args.flags = SLUICE_FLAG_PEEK;
	sluice_args_set_receive_buffer(&opening->args, opening->bytes, most, 0, (int64_t)most);
	sluice_args_complete(opening->connection->socket, &opening->args,
			     sluice_receive_async(opening->connection->socket, &opening->args));
}

void opening_begin(struct connection *connection)
{
	struct opening *opening = calloc(1, sizeof(*opening));

	if (opening == NULL) {
		connection_opened(connection, false);
		return;
	}
	opening->connection = connection;
	connection->opening = opening;
	look(opening);
}
