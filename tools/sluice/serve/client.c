/* SPDX-License-Identifier: MIT */
#include "serve/client.h"

#include <inttypes.h>
#include <sluice/socket.h>

#include "messages.h"
#include "serve/worker.h"

#define REPORT_EVERY_S 60 /* limits the messages about failures of clients */

void client_ask(struct connection *connection)
{
	const struct server *server = connection->worker->server;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if ((server->addresses.most > 0 || server->trusted_count > 0) &&
	    getpeername(sluice_socket_fd(connection->socket), (struct sockaddr *)&address,
			&length) == 0) {
		connection->client = proxy_address_of((struct sockaddr *)&address);
		connection->local = address.ss_family == AF_UNIX;
	}
}

bool client_is_trusted(const struct connection *connection)
{
	const struct server *server = connection->worker->server;

	for (size_t i = 0; i < server->trusted_count; i++) {
		if (connection->client.known &&
		    proxy_net_has(&server->trusted[i], &connection->client.address))
			return true;
	}
	return false;
}

bool client_may_send_preamble(const struct connection *connection)
{
	return connection->worker->server->trusted_count == 0 || connection->local ||
	       client_is_trusted(connection);
}

void client_report(const struct connection *connection, struct client_reports *reports,
		   const char *what, const char *reason)
{
	uint64_t now = connection->worker->tick, others = reports->unreported;
	struct proxy_address client = connection->client;
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char text[INET6_ADDRSTRLEN];

	if (reports->last != 0 && now - reports->last < REPORT_EVERY_S) {
		reports->unreported++;
		return;
	}
	*reports = (struct client_reports){.last = now};
	if (!client.known && getpeername(sluice_socket_fd(connection->socket),
					 (struct sockaddr *)&address, &length) == 0)
		client = proxy_address_of((struct sockaddr *)&address);
	proxy_write(&client, text);
	if (others > 0)
		messages_complain("%s %s: %s (and %" PRIu64 " more failures since the last such "
				  "message)",
				  what, text, reason, others);
	else
		messages_complain("%s %s: %s", what, text, reason);
}

struct proxy_address connection_client(const struct connection *connection,
				       const struct request *request)
{
	const struct server *server = connection->worker->server;
	struct proxy_address named;

	if (request == NULL || !client_is_trusted(connection))
		return connection->client;
	named = proxy_forwarded(request->forwarded, request->x_forwarded_for, server->trusted,
				server->trusted_count);
	return named.known ? named : connection->client;
}

bool client_count(struct connection *connection, struct proxy_address client)
{
	struct addresses *addresses = &connection->worker->server->addresses;

	if (addresses->most == 0 || !client.known || connection->kind == LISTEN_METRICS)
		return true;
	if (connection->counted.known &&
	    memcmp(&connection->counted.address, &client.address, sizeof(client.address)) == 0)
		return true;
	client_leave(connection);
	connection->counted = client;
	connection->counted.known = addresses_enter(addresses, &client.address);
	connection->worker->metrics.counts.refused += !connection->counted.known;
	return connection->counted.known;
}

void client_leave(struct connection *connection)
{
	if (connection->counted.known)
		addresses_leave(&connection->worker->server->addresses,
				&connection->counted.address);
	connection->counted.known = false;
}

enum client_outcome client_take_preamble(struct connection *connection, const char *data,
					 size_t length, size_t *ret_length)
{
	struct proxy_address client;

	switch (proxy_read(data, length, ret_length, &client)) {
	case PROXY_INCOMPLETE:
		return CLIENT_INCOMPLETE;
	case PROXY_WRONG:
		return CLIENT_WRONG;
	case PROXY_COMPLETE:
		break;
	}
	connection->preamble = false;
	if (client.known)
		connection->client = client;
	if (!client_is_trusted(connection) && !client_count(connection, connection->client))
		return CLIENT_TOO_MANY;
	return CLIENT_NAMED;
}
