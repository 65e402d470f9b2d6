/* SPDX-License-Identifier: MIT */
/* Connects to a host and sends it a line: send HOST PORT */
#include <err.h>
#include <netdb.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static void completed(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	printf("%s, %llu bytes\n", sluice_socket_error_name(args->error),
	       (unsigned long long)args->bytes_transferred);
}

int main(int argc, char **argv)
{
	struct sluice_args args = {.completed = completed};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int fd, answer;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		errx(1, "send HOST PORT");
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		err(1, "%s", argv[1]);
	freeaddrinfo(remote);

	answer = sluice_engine_create(&engine, NULL);
	if (answer < 0 || (answer = sluice_socket_attach(engine, fd, &peer)) < 0)
		errx(1, "engine: %s", strerror(-answer));
	sluice_args_set_buffer(&args, "Hello from sluice\n", 18, 0, 18);
	answer = sluice_send_async(peer, &args);
	if (answer < 0)
		errx(1, "send: %s", strerror(-answer)); /* refused, nothing was started */
	if (answer == 0)
		completed(peer, &args); /* done already: the handler will not run */
	while (sluice_args_in_progress(&args))
		sluice_engine_run(engine, -1); /* runs it */
	sluice_engine_destroy(engine);         /* closes the socket, too */
	return args.error != SLUICE_ERROR_SUCCESS;
}
