/* SPDX-License-Identifier: MIT */
/* send HOST PORT: connects, and sends a line */
#include <err.h>
#include <netdb.h>
#include <sluice/sluice.h>
#include <stdio.h>

static void completed(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	printf("%s, %llu bytes\n", sluice_socket_error_name(args->error),
	       (unsigned long long)args->bytes_transferred);
}

int main(int argc, char **argv)
{
	struct sluice_args args = {.completed = completed};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int fd, answer;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0)
		errx(1, "send HOST PORT");
	fd = socket(to->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0)
		err(1, "%s", argv[1]);
	freeaddrinfo(to);
	if (sluice_engine_create(&engine, NULL) < 0 || sluice_socket_attach(engine, fd, &peer) < 0)
		errx(1, "no engine");
	sluice_args_set_buffer(&args, "Hello from sluice\n", 18, 0, 18);
	answer = sluice_send_async(peer, &args);
	if (answer == 0)
		completed(peer, &args); /* completed synchronously: the handler does not run */
	while (answer == 1 && sluice_args_in_progress(&args))
		sluice_engine_run(engine, -1); /* runs the handler */
	sluice_engine_destroy(engine);         /* closes the socket */
	return answer < 0 || args.error != SLUICE_ERROR_SUCCESS;
}
