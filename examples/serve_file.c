/* SPDX-License-Identifier: MIT */
/*
 * Sends one file to everyone who connects, then ends the connection: serve_file FILE [PORT]
 *
 *   accept_start      brings every connection as an event, without a record for each
 *   send_packets      sends what stands in memory and in files, in order; here one file
 *   TRANSMIT_DISCONNECT   FIN after the last byte
 *   wake              the one call of the library that a signal handler may make
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sluice_engine *engine;
static volatile sig_atomic_t stopping;

/* Every connection sends the same: it stands here once, and outlives all records. */
static struct sluice_packet packet = {.kind = SLUICE_PACKET_FILE};

static int checked(const char *what, int answer)
{
	if (answer >= 0)
		return answer;
	fprintf(stderr, "%s: %s\n", what, strerror(-answer));
	exit(1);
}

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
	sluice_engine_wake(engine);
}

/* The record is ours again, and the last thing that is known of the socket. */
static void on_sent(struct sluice_socket *socket, struct sluice_args *args)
{
	printf("%s, %llu bytes\n", sluice_socket_error_name(args->error),
	       (unsigned long long)args->bytes_transferred);
	sluice_socket_destroy(socket);
	free(args);
}

/* 1: on_sent will be called; 0: it has ended already; else it was refused. */
static void send_file(struct sluice_socket *socket)
{
	struct sluice_args *args = calloc(1, sizeof *args);
	int answer = -ENOMEM;

	if (args) {
		args->completed = on_sent;
		args->transmit_flags = SLUICE_TRANSMIT_DISCONNECT;
		sluice_args_set_packets(args, &packet, 1);
		answer = sluice_send_packets_async(socket, args);
	}
	if (answer == 0)
		on_sent(socket, args);
	if (answer >= 0)
		return;
	fprintf(stderr, "send: %s\n", strerror(-answer));
	sluice_socket_destroy(socket);
	free(args);
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	(void)listener;
	(void)token;
	if (accepted->socket)
		send_file(accepted->socket);
	else if (accepted->error != SLUICE_ERROR_OPERATION_ABORTED)
		fprintf(stderr, "accept: %s\n", sluice_socket_error_text(accepted->error));
}

static void on_loopback(int fd, const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		checked(port, -errno);
	printf("listening on 127.0.0.1 port %d, with %s\n", ntohs(address.sin_port),
	       sluice_engine_backend(engine));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sluice_accept_options options = {.size = sizeof options, .on_accepted = on_accepted};
	struct sluice_socket *listener;
	int fd, answer = 0;

	if (argc < 2 || argc > 3)
		checked("serve_file FILE [PORT]", -EINVAL);
	packet.fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (packet.fd < 0 || fd < 0)
		checked(argv[1], -errno);

	checked("engine", sluice_engine_create(&engine, NULL));
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	on_loopback(fd, argc == 3 ? argv[2] : "0");
	checked("attach", sluice_socket_attach(engine, fd, &listener));
	checked("accept", sluice_accept_start(listener, &options));
	while (!stopping && (answer >= 0 || answer == -EINTR))
		answer = sluice_engine_run(engine, -1);
	/* What is still being sent ends with OperationAborted, through on_sent. */
	checked("destroy", sluice_engine_destroy(engine));
	return !stopping;
}
