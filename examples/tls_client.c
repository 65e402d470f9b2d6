/* SPDX-License-Identifier: MIT */
/*
 * tls_client AUTHORITIES NAME HOST PORT: sends a line over TLS and reads it back. The server needs a
 * certificate for the name, from one of the authorities.
 */
#include <sluice/sluice.h>
#include <sluice/tls.h>
#include <stdio.h>

#include "peer.h"

#define TIMEOUT_NS INT64_C(10000000000)

static const char line[] = "Hello from tls_client\n";
static const size_t length = sizeof line - 1;
static struct sluice_engine *engine;
static struct sluice_tls *tls;

/* Runs the engine until the record is over. answer: its start's. Ends the program if it failed. */
static void await(const char *what, struct sluice_args *args, int64_t answer)
{
	checked(what, answer);
	while (sluice_args_in_progress(args))
		checked("run", sluice_engine_run(engine, -1));
	if (args->error != SLUICE_ERROR_SUCCESS)
		errx(1, "%s: %s %s", what, sluice_socket_error_name(args->error),
		     tls ? sluice_tls_error_text(tls) : "");
}

static void shake_hands(struct sluice_tls_context *context, struct sluice_socket *socket,
			const char *name)
{
	struct sluice_tls_options options = {.size = sizeof options, .server_name = name};
	struct sluice_args args = {.timeout_ns = TIMEOUT_NS};

	await("handshake", &args,
	      sluice_tls_handshake_async(context, socket, &options, &args, &tls));
}

static void send_line(struct sluice_socket *socket)
{
	struct sluice_args args = {.timeout_ns = TIMEOUT_NS};

	sluice_args_set_buffer(&args, line, length, 0, (int64_t)length);
	await("send", &args, sluice_send_async(socket, &args));
	args.timeout_ns = TIMEOUT_NS;
	await("disconnect", &args, sluice_disconnect_async(socket, &args));
}

/* Receives up to the end of the stream, which the peer signals in TLS. The bytes that came. */
static size_t receive_all(struct sluice_socket *socket, char *buffer, size_t capacity)
{
	struct sluice_args args = {0};
	size_t got = 0;

	do {
		args.timeout_ns = TIMEOUT_NS;
		sluice_args_set_receive_buffer(&args, buffer, capacity, (int64_t)got,
					       (int64_t)(capacity - got));
		await("receive", &args, sluice_receive_async(socket, &args));
		got += args.bytes_transferred;
	} while (args.bytes_transferred > 0 && got < capacity);
	return got;
}

int main(int argc, char **argv)
{
	static const char usage[] = "tls_client AUTHORITIES NAME HOST PORT";
	char wrong[256] = "", buffer[256];
	struct sluice_tls_context_options options = {
		.size = sizeof options,
		.role = SLUICE_TLS_CLIENT,
		.authorities_file = argc > 1 ? argv[1] : NULL,
		.error_text = wrong,
		.error_capacity = sizeof wrong,
	};
	struct sluice_tls_context *context;
	struct sluice_socket *socket;
	int fd = peer_connect(argc, argv, 3, usage);

	if (sluice_tls_context_create(&context, &options) < 0)
		errx(1, "%s", wrong);
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("attach", sluice_socket_attach(engine, fd, &socket));
	shake_hands(context, socket, argv[2]);
	send_line(socket);
	if (receive_all(socket, buffer, sizeof buffer) != length ||
	    memcmp(buffer, line, length) != 0)
		errx(1, "something else came back");
	printf("Success, %zu bytes with %s\n", length, sluice_tls_cipher(tls));
	sluice_engine_destroy(engine); /* closes the socket */
	sluice_tls_context_destroy(context);
	return 0;
}
