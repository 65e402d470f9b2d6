/* SPDX-License-Identifier: MIT */
#include <netdb.h>
#include <sluice/sluice.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to;
	struct sluice_args args = {0};
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0)
		return fputs("usage: send HOST PORT\n", stderr), 1;
	if (connect(fd = socket(to->ai_family, SOCK_STREAM, 0), to->ai_addr, to->ai_addrlen) < 0 ||
	    sluice_engine_create(&engine, NULL) < 0 || sluice_socket_attach(engine, fd, &peer) < 0)
		return perror("send"), 1;
	sluice_args_set_buffer(&args, "Hello from sluice\n", 18, 0, 18);
	sluice_send_async(peer, &args); /* 1: pending; 0: completed; < 0: refused */
	while (sluice_args_in_progress(&args))
		sluice_engine_run(engine, -1);
	printf("%s, %d bytes\n", sluice_socket_error_name(args.error), (int)args.bytes_transferred);
	freeaddrinfo(to);
	sluice_engine_destroy(engine); /* closes the socket */
}
