/* SPDX-License-Identifier: MIT */
/*
 * A chat server: what a client sends goes to all others: chat [PORT]
 *
 *   fan_out          sends the bytes to all of them, with one completion
 *   receive_start    brings every byte, in the engine's buffers
 *   water marks      a client that does not read may have 256 KiB queued; then it is disconnected, and
 *                    nobody else waits for it
 *   close            brings the terminal call of receive_start: there the client is freed
 */
#include "server.h"

#define QUEUE_LIMIT (256 * 1024)

/* One copy of the bytes for all receivers, and one completion for all of them. */
struct message {
	struct sluice_fan_out fan_out;
	char *bytes;
	struct sluice_fan_out_target targets[];
};

struct client {
	struct sluice_socket *socket;
	size_t index;
};

static struct client **clients;
static size_t client_count, client_capacity;

static void on_delivered(struct sluice_fan_out *fan_out)
{
	struct message *message = fan_out->user_token;

	free(message->bytes);
	free(message);
}

/* The policy: a client whose queue is full is disconnected. */
static void disconnect_full(const struct message *message)
{
	for (size_t i = 0; i < message->fan_out.target_count; i++)
		if (message->targets[i].args.native_error == ENOBUFS)
			sluice_socket_close(message->targets[i].socket);
}

static struct message *new_message(const void *bytes, size_t length, const struct client *from)
{
	struct message *message =
		calloc(1, sizeof *message + client_count * sizeof(struct sluice_fan_out_target));
	char *copy = malloc(length);

	if (!message || !copy) {
		free(message);
		free(copy);
		return NULL;
	}
	memcpy(copy, bytes, length);
	message->bytes = copy;
	message->fan_out = (struct sluice_fan_out){.completed = on_delivered,
						   .user_token = message,
						   .base = copy,
						   .length = length,
						   .targets = message->targets};
	for (size_t i = 0; i < client_count; i++)
		if (clients[i] != from)
			message->targets[message->fan_out.target_count++].socket =
				clients[i]->socket;
	return message;
}

/* In a handler nothing has ended when this returns but what was refused. */
static void deliver(struct message *message)
{
	int answer = sluice_fan_out_async(&message->fan_out);

	disconnect_full(message);
	if (answer <= 0)
		on_delivered(&message->fan_out);
}

static void leave(struct client *client)
{
	struct client *last = clients[--client_count];

	clients[client->index] = last;
	last->index = client->index;
	sluice_socket_destroy(client->socket);
	free(client);
}

static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct client *from = token;
	struct message *message;

	(void)socket;
	if (received->terminal) {
		leave(from);
		return;
	}
	message = new_message(received->data, received->length, from);
	sluice_buffer_release(engine, received->buffer);
	if (message)
		deliver(message);
}

static int join(struct sluice_socket *socket)
{
	struct sluice_receive_options options = {.size = sizeof options,
						 .on_received = on_received};
	struct client *client;

	if (client_count == client_capacity) {
		size_t capacity = client_capacity ? 2 * client_capacity : 64;
		struct client **larger = realloc(clients, capacity * sizeof(struct client *));

		if (!larger)
			return -ENOMEM;
		clients = larger;
		client_capacity = capacity;
	}
	client = malloc(sizeof *client);
	if (!client)
		return -ENOMEM;
	client->socket = socket;
	client->index = client_count;
	options.token = client;
	sluice_socket_set_water_marks(socket, 0, QUEUE_LIMIT, QUEUE_LIMIT);
	if (sluice_receive_start(socket, &options) < 0) {
		free(client);
		return -ENOTCONN;
	}
	clients[client_count++] = client;
	return 0;
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	(void)listener;
	(void)token;
	if (accepted->socket && join(accepted->socket) < 0)
		sluice_socket_destroy(accepted->socket);
}

int main(int argc, char **argv)
{
	checked("engine", sluice_engine_create(&engine, NULL));
	stop_on_signals();
	serve(argc > 1 ? atoi(argv[1]) : 0, on_accepted);
	run_until_stopped();
	free(clients);
	return 0;
}
