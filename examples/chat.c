/* SPDX-License-Identifier: MIT */
/*
 * A chat server: what a client sends goes to all others: chat [PORT]
 *
 *   receive_start    brings every byte, in the engine's buffers
 *   water marks      a client that does not read may have 256 KiB queued; then it is disconnected, and
 *                    nobody else waits for it
 *   close            brings the terminal call of receive_start: there the client is freed
 */
#include "server.h"

#define QUEUE_LIMIT (256 * 1024)

/* One copy of the bytes for all receivers. */
struct message {
	size_t references;
	size_t length;
	char bytes[];
};

struct delivery {
	struct sluice_args args;
	struct message *message;
};

struct client {
	struct sluice_socket *socket;
	size_t index;
};

static struct client **clients;
static size_t client_count, client_capacity;

static void release(struct message *message)
{
	if (--message->references == 0)
		free(message);
}

static void on_delivered(struct sluice_socket *socket, struct sluice_args *args)
{
	struct delivery *delivery = args->user_token;

	(void)socket;
	release(delivery->message);
	free(delivery);
}

/* The policy: a client whose queue is full is disconnected. */
static void deliver(struct client *client, struct message *message)
{
	struct delivery *delivery = calloc(1, sizeof *delivery);
	int answer = -ENOMEM;

	if (delivery) {
		delivery->message = message;
		delivery->args.user_token = delivery;
		delivery->args.completed = on_delivered;
		message->references++;
		sluice_args_set_buffer(&delivery->args, message->bytes, message->length, 0,
				       (int64_t)message->length);
		answer = sluice_send_async(client->socket, &delivery->args);
		if (answer <= 0)
			on_delivered(client->socket, &delivery->args);
	}
	if (answer == -ENOBUFS || answer == -ENOMEM)
		sluice_socket_close(client->socket);
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
	message = malloc(sizeof *message + received->length);
	if (message) {
		message->references = 1;
		message->length = received->length;
		memcpy(message->bytes, received->data, received->length);
	}
	sluice_buffer_release(engine, received->buffer);
	for (size_t i = 0; message && i < client_count; i++)
		if (clients[i] != from)
			deliver(clients[i], message);
	if (message)
		release(message);
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
