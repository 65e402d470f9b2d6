/* SPDX-License-Identifier: MIT */
/* The same server for each loop: what a connection sends comes back. */
#ifndef ECHO_H
#define ECHO_H

#include "server.h"

struct echo {
	struct sluice_args args;
	struct sluice_buffer *buffer;
};

static void on_echoed(struct sluice_socket *socket, struct sluice_args *args)
{
	struct echo *echo = args->user_token;

	(void)socket;
	sluice_buffer_release(engine, echo->buffer);
	free(echo);
}

static void on_closed(struct sluice_socket *socket, void *token)
{
	(void)token;
	sluice_socket_destroy(socket);
}

/* A received buffer is sent as it is, and released when it has been sent. */
static void on_received(struct sluice_socket *socket, const struct sluice_received *received,
			void *token)
{
	struct echo *echo;

	(void)token;
	if (received->terminal) {
		/* After the last byte; a destroy at once would give up what is queued. */
		sluice_socket_set_closed(socket, on_closed, NULL);
		sluice_socket_close_gracefully(socket, INT64_C(5000000000));
		return;
	}
	echo = calloc(1, sizeof *echo);
	if (!echo) {
		sluice_buffer_release(engine, received->buffer);
		sluice_socket_close(socket);
		return;
	}
	echo->buffer = received->buffer;
	echo->args.completed = on_echoed;
	echo->args.user_token = echo;
	sluice_args_set_buffer(&echo->args, received->data, received->length, 0,
			       (int64_t)received->length);
	if (sluice_send_async(socket, &echo->args) <= 0)
		on_echoed(socket, &echo->args);
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct sluice_receive_options options = {.size = sizeof options,
						 .on_received = on_received};

	(void)listener;
	(void)token;
	if (accepted->socket && sluice_receive_start(accepted->socket, &options) < 0)
		sluice_socket_destroy(accepted->socket);
}

#endif
