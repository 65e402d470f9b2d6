/* SPDX-License-Identifier: MIT */
/*
 * Passes connections on to a port of this machine: proxy TO-PORT [PORT]
 *
 *   back pressure    a received buffer is sent as it is and released when it has been sent. No more
 *                    than receive_buffers_per_socket are lent to a socket, so that a receiver that
 *                    does not read stops the sender, and costs a bounded amount of memory
 *   half-close       the end of one direction becomes a FIN behind its last byte, by disconnect_async;
 *                    the other direction goes on
 */
#include "server.h"

struct connection;

struct direction {
	struct connection *connection;
	struct sluice_socket *from, *to;
	struct sluice_args end;
};

/* Lives while something refers to it: what is received, in flight, ended or connected. */
struct connection {
	size_t references;
	struct direction up, down;
	struct sluice_args connect;
};

struct piece {
	struct sluice_args args;
	struct sluice_buffer *buffer;
	struct connection *connection;
};

static struct sockaddr_in upstream;

static void unreference(struct connection *connection)
{
	if (--connection->references > 0)
		return;
	sluice_socket_destroy(connection->up.from);
	sluice_socket_destroy(connection->up.to);
	free(connection);
}

static void abandon(struct connection *connection)
{
	sluice_socket_close(connection->up.from);
	sluice_socket_close(connection->up.to);
}

static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	struct piece *piece = args->user_token;

	(void)socket;
	sluice_buffer_release(engine, piece->buffer);
	if (args->error)
		abandon(piece->connection);
	unreference(piece->connection);
	free(piece);
}

static void pass_on(struct direction *direction, const struct sluice_received *received)
{
	struct piece *piece = calloc(1, sizeof *piece);
	int answer;

	if (!piece) {
		sluice_buffer_release(engine, received->buffer);
		abandon(direction->connection);
		return;
	}
	piece->buffer = received->buffer;
	piece->connection = direction->connection;
	piece->connection->references++;
	piece->args.completed = on_sent;
	piece->args.user_token = piece;
	sluice_args_set_buffer(&piece->args, received->data, received->length, 0,
			       (int64_t)received->length);
	answer = sluice_send_async(direction->to, &piece->args);
	if (answer < 0)
		piece->args.error = sluice_socket_error_from_errno(answer);
	if (answer <= 0)
		on_sent(direction->to, &piece->args);
}

static void on_ended(struct sluice_socket *socket, struct sluice_args *args)
{
	struct direction *direction = args->user_token;

	(void)socket;
	unreference(direction->connection);
}

static void pass_end_on(struct direction *direction)
{
	direction->connection->references++;
	direction->end.completed = on_ended;
	direction->end.user_token = direction;
	if (sluice_disconnect_async(direction->to, &direction->end) <= 0)
		on_ended(direction->to, &direction->end);
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct direction *direction = token;

	(void)socket;
	if (!received->terminal) {
		pass_on(direction, received);
		return;
	}
	if (received->error)
		abandon(direction->connection);
	else
		pass_end_on(direction);
	unreference(direction->connection);
}

static void begin(struct direction *direction)
{
	struct sluice_receive_options options = {
		.size = sizeof options, .on_received = on_received, .token = direction};

	direction->connection->references++;
	if (sluice_receive_start(direction->from, &options) < 0) {
		abandon(direction->connection);
		unreference(direction->connection);
	}
}

static void on_connected(struct sluice_socket *socket, struct sluice_args *args)
{
	struct connection *connection = args->user_token;

	(void)socket;
	if (args->error)
		abandon(connection);
	else
		begin(&connection->down);
	unreference(connection);
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct connection *connection;
	struct sluice_socket *to = NULL;
	int fd, answer;

	(void)listener;
	(void)token;
	if (!accepted->socket)
		return;
	connection = calloc(1, sizeof *connection);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (!connection || fd < 0 || sluice_socket_attach(engine, fd, &to) < 0) {
		sluice_socket_destroy(accepted->socket);
		free(connection);
		return;
	}
	connection->up =
		(struct direction){.connection = connection, .from = accepted->socket, .to = to};
	connection->down =
		(struct direction){.connection = connection, .from = to, .to = accepted->socket};
	connection->connect.completed = on_connected;
	connection->connect.user_token = connection;
	connection->connect.remote_address = (struct sockaddr *)&upstream;
	connection->connect.remote_address_length = sizeof upstream;
	connection->references = 2; /* of the connect, and of this function */
	answer = sluice_connect_async(to, &connection->connect);
	if (answer < 0)
		connection->connect.error = sluice_socket_error_from_errno(answer);
	if (answer <= 0)
		on_connected(to, &connection->connect);
	begin(&connection->up); /* what it sends waits for the connect */
	unreference(connection);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		checked("proxy TO-PORT [PORT]", -EINVAL);
	upstream.sin_family = AF_INET;
	upstream.sin_port = htons((uint16_t)atoi(argv[1]));
	upstream.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	checked("engine", sluice_engine_create(&engine, NULL));
	stop_on_signals();
	serve(argc > 2 ? atoi(argv[2]) : 0, on_accepted);
	run_until_stopped();
	return 0;
}
