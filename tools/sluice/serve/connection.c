/* SPDX-License-Identifier: MIT */
#include "serve/connection.h"

#include <sluice/sluice.h>
#include <stdlib.h>

#include "acknowledged.h"
#include "serve/answer.h"
#include "serve/client.h"
#include "serve/opening.h"
#include "serve/reply.h"
#include "serve/worker.h"

#define PIPELINE_MAX 64         /* unfinished replies; then requests wait */
#define INPUT_PAUSE_BYTES 65536 /* of pending input; then receiving pauses */
#define LINGER_S 5

/* Received bytes that could not be processed yet: part of a head, or requests that wait. */
struct input {
	size_t length;
	size_t capacity;
	char bytes[];
};

static const struct serve_options *options_of(const struct connection *connection)
{
	return connection->worker->server->options;
}

static uint64_t phase_seconds(const struct connection *connection, enum connection_phase phase)
{
	switch (phase) {
	case CONNECTION_IDLE:
		return options_of(connection)->idle_timeout_s;
	case CONNECTION_WRITE:
		return options_of(connection)->write_timeout_s;
	case CONNECTION_LINGER:
		return LINGER_S;
	default:
		return options_of(connection)->header_timeout_s;
	}
}

static void enter_phase(struct connection *connection, enum connection_phase phase)
{
	connection->phase = (uint8_t)phase;
	deadline_begin(&connection->deadline, connection->worker->tick,
		       phase_seconds(connection, phase));
}

/* The end */

static void free_if_done(struct connection *connection)
{
	struct worker *worker = connection->worker;

	if (!connection->ended || connection->receiving || connection->replies > 0 ||
	    connection->opening != NULL)
		return;
	client_leave(connection);
	if (connection->refused)
		worker->refused_count--;
	else
		worker->connection_count--;
	if (connection->kind == LISTEN_METRICS && !connection->refused)
		worker->metrics_count--;
	free(connection);
}

void connection_drop_input(struct connection *connection)
{
	free(connection->input);
	connection->input = NULL;
	connection->incomplete = false;
}

static void end(struct connection *connection)
{
	if (connection->ended)
		return;
	connection->ended = true;
	list_remove(&connection->link);
	filecache_stop_waiting(&connection->waiter);
	connection_drop_input(connection);
	sluice_socket_destroy(connection->socket);
}

void connection_end(struct connection *connection)
{
	end(connection);
	free_if_done(connection);
}

/* Everything is sent. Input of a client that may still be sending is discarded until it stops. */
static void finish_closing(struct connection *connection)
{
	if (!connection->surplus || connection->at_end) {
		end(connection);
	} else if (connection->phase != CONNECTION_LINGER) {
		sluice_socket_shutdown(connection->socket, SHUT_WR);
		enter_phase(connection, CONNECTION_LINGER);
	}
}

/* Input */

static void begin_receiving(struct connection *connection);

bool connection_save_input(struct connection *connection, const char *data, size_t length)
{
	struct input *input = connection->input;
	size_t used = input != NULL ? input->length : 0;

	if (input == NULL || input->capacity - used < length) {
		size_t capacity = 1024;

		while (capacity < used + length)
			capacity *= 2;
		input = realloc(input, sizeof(*input) + capacity);
		if (input == NULL)
			return false;
		input->capacity = capacity;
		connection->input = input;
	}
	memcpy(input->bytes + used, data, length);
	input->length = used + length;
	return true;
}

const char *connection_input(const struct connection *connection)
{
	return connection->input != NULL ? connection->input->bytes : NULL;
}

size_t connection_input_length(const struct connection *connection)
{
	return connection->input != NULL ? connection->input->length : 0;
}

static void close_after_this(struct connection *connection, bool surplus)
{
	connection->closing = true;
	connection->surplus = surplus;
}

/* Discards the available part of a body. Returns the bytes consumed. */
static size_t skip_body(struct connection *connection, size_t length)
{
	size_t taken = connection->body_left < length ? connection->body_left : length;

	connection->body_left -= taken;
	return taken;
}

/* Consumes the PROXY header. Returns its length; 0: it is incomplete or invalid. */
static size_t take_preamble(struct connection *connection, const char *data, size_t length)
{
	size_t taken = 0;

	switch (client_take_preamble(connection, data, length, &taken)) {
	case CLIENT_INCOMPLETE:
		return 0;
	case CLIENT_WRONG:
		connection->broken = true;
		return 0;
	case CLIENT_TOO_MANY:
		answer_refusal(connection, NULL, 503);
		close_after_this(connection, true);
		break;
	case CLIENT_NAMED:
		break;
	}
	return taken;
}

/* Consumes and answers one request. Returns the bytes consumed; 0: it has to wait. */
static size_t take_request(struct connection *connection, const char *data, size_t length)
{
	struct worker *worker = connection->worker;
	struct request *request = &worker->request;
	enum request_outcome outcome =
		request_parse(request, &worker->server->limits, data, length);

	if (outcome == REQUEST_INCOMPLETE) {
		connection->incomplete = true;
		return 0;
	}
	if (outcome == REQUEST_REFUSED) {
		answer_refusal(connection, request, request->status);
		close_after_this(connection, true);
		return length;
	}
	if (worker->server->addresses.most > 0 && worker->server->trusted_count > 0 &&
	    !client_count(connection, connection_client(connection, request))) {
		answer_refusal(connection, request, 503);
		close_after_this(connection, true);
		return length;
	}
	if (!answer_request(connection, request))
		return 0;
	connection->body_left = request->body_bytes;
	if (answer_closes(connection, request))
		close_after_this(connection, request->chunked || request->body_bytes > 0 ||
						     request->length < length);
	return request->length;
}

static bool can_take(const struct connection *connection)
{
	return !connection->closing && !connection->waiting && !connection->broken &&
	       !connection->ended && connection->replies < PIPELINE_MAX;
}

/* Consumes requests and bodies as far as possible. Returns the bytes consumed. */
static size_t take(struct connection *connection, const char *data, size_t length)
{
	size_t all = 0;

	connection->incomplete = false;
	if (connection->preamble) {
		all = take_preamble(connection, data, length);
		if (all == 0)
			return 0;
	}
	while (all < length && can_take(connection)) {
		size_t taken = connection->body_left > 0
				       ? skip_body(connection, length - all)
				       : take_request(connection, data + all, length - all);

		if (taken == 0)
			break;
		all += taken;
	}
	return all;
}

static void take_input(struct connection *connection)
{
	struct input *input = connection->input;
	size_t taken;

	if (input == NULL || !can_take(connection))
		return;
	taken = take(connection, input->bytes, input->length);
	if (taken == input->length || connection->closing) {
		free(input);
		connection->input = NULL;
		return;
	}
	memmove(input->bytes, input->bytes + taken, input->length - taken);
	input->length -= taken;
}

/* Appends received bytes to those that wait. */
static void take_more(struct connection *connection, const char *data, size_t length)
{
	size_t before = connection->input->length;

	if (!connection_save_input(connection, data, length)) {
		connection->broken = true;
		return;
	}
	/* Parsing a head again from its start is worthwhile only if its end may have arrived. */
	if (connection->incomplete &&
	    connection->input->length < connection->worker->server->limits.head_bytes &&
	    !request_head_may_end(connection->input->bytes, connection->input->length, before))
		return;
	take_input(connection);
}

static void take_data(struct connection *connection, const char *data, size_t length)
{
	size_t taken;

	if (connection->closing) {
		connection->surplus = true;
		return;
	}
	if (connection->input != NULL) {
		take_more(connection, data, length);
		return;
	}
	taken = take(connection, data, length);
	if (taken < length && !connection->closing && !connection->broken &&
	    !connection_save_input(connection, data + taken, length - taken))
		connection->broken = true;
}

/* Receiving pauses while too much input is pending, so that a client cannot exhaust memory. */
static void steer_receiving(struct connection *connection)
{
	size_t waiting = connection_input_length(connection);

	if (connection->at_end || connection->opening != NULL)
		return;
	if (connection->receiving && !connection->pausing && waiting > INPUT_PAUSE_BYTES)
		connection->pausing = sluice_receive_stop(connection->socket) == 0;
	else if (!connection->receiving && waiting <= INPUT_PAUSE_BYTES)
		begin_receiving(connection);
}

/* The time for a head or body starts with its first byte; further bytes do not extend it. */
static void await_request(struct connection *connection)
{
	enum connection_phase phase = CONNECTION_IDLE;

	if (connection->body_left > 0)
		phase = CONNECTION_BODY;
	else if (connection->input != NULL)
		phase = CONNECTION_HEAD;
	if (phase == CONNECTION_IDLE || connection->phase != phase)
		enter_phase(connection, phase);
}

/* Called after every event: determines the state of the connection. */
static void settle(struct connection *connection)
{
	if (connection->broken)
		end(connection);
	if (!connection->ended)
		steer_receiving(connection);
	if (connection->ended) {
		free_if_done(connection);
		return;
	}
	if (connection->replies > 0 || connection->waiting) {
		enter_phase(connection, CONNECTION_WRITE);
	} else if (connection->closing) {
		finish_closing(connection);
		free_if_done(connection);
	} else if (connection->at_end) {
		connection_end(connection);
	} else {
		await_request(connection);
	}
}

static void on_end_of_receiving(struct connection *connection,
				const struct sluice_received *received)
{
	connection->receiving = false;
	if (received->error == SLUICE_ERROR_SUCCESS)
		connection->at_end = true;
	else if (!connection->pausing || received->error != SLUICE_ERROR_OPERATION_ABORTED)
		connection->broken = true;
	connection->pausing = false;
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct connection *connection = token;

	if (received->length > 0 && !connection->ended)
		take_data(connection, received->data, received->length);
	if (received->buffer != NULL)
		sluice_buffer_release(connection->worker->engine, received->buffer);
	if (received->terminal)
		on_end_of_receiving(connection, received);
	settle(connection);
}

static void begin_receiving(struct connection *connection)
{
	struct sluice_receive_options options = {
		.size = sizeof(options),
		.on_received = on_received,
		.token = connection,
	};

	if (sluice_receive_start(connection->socket, &options) == 0)
		connection->receiving = true;
	else
		end(connection);
}

void connection_sent(struct connection *connection)
{
	/*
	 * Requests that wait for space are processed in batches, then the rest of the input is
	 * moved.
	 */
	if (connection->replies <= PIPELINE_MAX / 2)
		take_input(connection);
	settle(connection);
}

static void on_found(struct cache_waiter *waiter, struct found found)
{
	struct connection *connection = LINK_OWNER(waiter, struct connection, waiter);

	connection->waiting = false;
	connection->has_found = true;
	connection->found = found;
	take_input(connection);
	connection->has_found = false;
	settle(connection);
}

/* The kernel paces the connection; a local socket cannot be paced. */
static void limit_rate(struct connection *connection)
{
	uint64_t rate = options_of(connection)->limit_rate;

	if (rate > 0 && connection->kind != LISTEN_METRICS)
		sluice_socket_set_option(connection->socket, SLUICE_SOCKET_RATE_BYTES_PER_SECOND,
					 (int64_t)rate);
}

static void begin_requests(struct connection *connection)
{
	enter_phase(connection, CONNECTION_HEAD);
	begin_receiving(connection);
	if (connection->ended)
		free_if_done(connection);
}

/* Before TLS no refusal can be sent, and a handshake for it would cost too much. */
static void refuse(struct connection *connection)
{
	if (connection->kind == LISTEN_TLS) {
		connection_end(connection);
		return;
	}
	begin_receiving(connection);
	if (connection->ended) {
		free_if_done(connection);
		return;
	}
	answer_refusal(connection, NULL, 503);
	close_after_this(connection, true);
	settle(connection);
}

/* The address that a stranger names would be believed, and its request cannot be parsed. */
static void turn_away(struct connection *connection)
{
	connection->worker->metrics.counts.refused++;
	client_report(connection, &connection->worker->strangers, "connection from",
		      "closed: only addresses of --trust-proxy may send a PROXY header");
	connection_end(connection);
}

void connection_begin(struct worker *worker, struct sluice_socket *socket, uint8_t kind,
		      bool too_many)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	bool stranger;

	if (connection == NULL) {
		sluice_socket_destroy(socket);
		return;
	}
	connection->worker = worker;
	connection->socket = socket;
	connection->waiter.ready = on_found;
	list_init(&connection->waiter.link);
	list_append(&worker->connections, &connection->link);
	connection->kind = kind;
	connection->preamble = options_of(connection)->proxy_protocol && kind != LISTEN_METRICS;
	client_ask(connection);
	limit_rate(connection);
	if (!too_many && !connection->preamble && !client_is_trusted(connection))
		too_many = !client_count(connection, connection->client);
	stranger = !too_many && connection->preamble && !client_may_send_preamble(connection);
	connection->refused = too_many || stranger;
	if (connection->refused)
		worker->refused_count++;
	else
		worker->connection_count++;
	if (kind == LISTEN_METRICS && !too_many)
		worker->metrics_count++;
	enter_phase(connection, CONNECTION_HEAD);
	if (stranger)
		turn_away(connection);
	else if (too_many)
		refuse(connection);
	else if (kind == LISTEN_TLS)
		opening_begin(connection);
	else
		begin_requests(connection);
}

void connection_opened(struct connection *connection, bool success)
{
	if (success && !connection->ended)
		begin_requests(connection);
	else
		connection_end(connection);
}

/* Time */

/*
 * Checked at each tick, so that the time starts at the last second with progress, not at the last
 * check.
 */
static bool is_still_taking(struct connection *connection)
{
	uint64_t acknowledged;

	if (connection->phase != CONNECTION_WRITE ||
	    !acknowledged_bytes(sluice_socket_fd(connection->socket), &acknowledged))
		return false;
	return deadline_took(&connection->deadline, connection->worker->tick,
			     phase_seconds(connection, CONNECTION_WRITE), acknowledged);
}

static void expire(struct connection *connection)
{
	switch ((enum connection_phase)connection->phase) {
	case CONNECTION_HEAD:
		if (connection->opening != NULL)
			opening_expired(connection->opening);
		if (connection->opening != NULL || connection->input == NULL)
			break;
		answer_refusal(connection, NULL, 408);
		connection_drop_input(connection);
		close_after_this(connection, true);
		settle(connection);
		return;
	default:
		break;
	}
	connection_end(connection);
}

void connection_check(struct connection *connection)
{
	if (!is_still_taking(connection) &&
	    deadline_is_over(&connection->deadline, connection->worker->tick))
		expire(connection);
}

void connection_drain(struct connection *connection)
{
	/* If a request waits for its file, it is answered before the connection closes. */
	if (connection->waiting)
		return;
	if (connection->replies == 0) {
		connection_end(connection);
		return;
	}
	connection_drop_input(connection);
	close_after_this(connection, true);
}
