/* SPDX-License-Identifier: MIT */
/* tls_server CERTIFICATE KEY [PORT]: sends back what a client sends, over TLS */
#include <sluice/tls.h>

#include "echo.h"

#define HANDSHAKE_NS INT64_C(10000000000)

/* A connection until its handshake is over. */
struct opening {
	struct sluice_args args;
	struct sluice_tls *tls; /* the socket's, as long as it lives */
};

static struct sluice_tls_context *context;

/* From here on the socket works as one without TLS: the rest is echo.h's. */
static void on_handshaken(struct sluice_socket *socket, struct sluice_args *args)
{
	struct opening *opening = args->user_token;
	const struct sluice_accepted accepted = {.size = sizeof accepted, .socket = socket};

	if (args->error == SLUICE_ERROR_SUCCESS) {
		on_accepted(NULL, &accepted, NULL);
	} else {
		fprintf(stderr, "handshake: %s %s\n", sluice_socket_error_name(args->error),
			opening->tls ? sluice_tls_error_text(opening->tls) : "");
		sluice_socket_destroy(socket);
	}
	free(opening);
}

static void on_connection(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			  void *token)
{
	struct sluice_socket *socket = accepted->socket;
	struct opening *opening;

	(void)listener;
	(void)token;
	if (!socket)
		return;
	opening = calloc(1, sizeof *opening);
	if (!opening) {
		sluice_socket_destroy(socket);
		return;
	}
	opening->args.completed = on_handshaken;
	opening->args.user_token = opening;
	opening->args.timeout_ns = HANDSHAKE_NS; /* a client may stop in the middle */
	sluice_args_complete(socket, &opening->args,
			     sluice_tls_handshake_async(context, socket, NULL, &opening->args,
							&opening->tls));
}

int main(int argc, char **argv)
{
	char wrong[256] = "";
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options = {
		.size = sizeof options,
		.role = SLUICE_TLS_SERVER,
		.certificates = &certificate,
		.certificate_count = 1,
		.error_text = wrong,
		.error_capacity = sizeof wrong,
	};

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "tls_server CERTIFICATE KEY [PORT]\n");
		return 2;
	}
	certificate = (struct sluice_tls_certificate){argv[1], argv[2]};
	if (sluice_tls_context_create(&context, &options) < 0) {
		fprintf(stderr, "tls_server: %s\n", wrong);
		return 1;
	}
	checked("engine", sluice_engine_create(&engine, NULL));
	stop_on_signals();
	serve(argc == 4 ? atoi(argv[3]) : 0, on_connection);
	run_until_stopped();
	sluice_tls_context_destroy(context);
	return 0;
}
