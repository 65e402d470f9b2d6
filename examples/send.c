/* SPDX-License-Identifier: MIT */
/* Connects to a host and sends it a line: send HOST PORT */
#include <errno.h>
#include <netdb.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checked(const char *what, int answer)
{
	if (answer >= 0)
		return answer;
	fprintf(stderr, "%s: %s\n", what, strerror(-answer));
	exit(1);
}

static void completed(struct sluice_socket *socket, struct sluice_args *args)
{
	(void)socket;
	printf("%s, %llu bytes\n", sluice_socket_error_name(args->error),
	       (unsigned long long)args->bytes_transferred);
}

int main(int argc, char **argv)
{
	static const char line[] = "Hello from sluice\n";
	const size_t length = sizeof line - 1;
	struct sluice_args args = {.completed = completed};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		checked("send HOST PORT", -EINVAL);
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		checked(argv[1], -errno);
	freeaddrinfo(remote);

	checked("engine", sluice_engine_create(&engine, NULL));
	checked("attach", sluice_socket_attach(engine, fd, &peer)); /* takes the descriptor over */
	checked("buffer", sluice_args_set_buffer(&args, line, length, 0, (int64_t)length));

	/* 1: the handler will run, from sluice_engine_run; 0: done already, it will not. */
	if (checked("send", sluice_send_async(peer, &args)) == 0)
		completed(peer, &args);
	while (sluice_args_in_progress(&args))
		sluice_engine_run(engine, -1);

	/* Closes the socket, too. */
	checked("destroy", sluice_engine_destroy(engine));
	return args.error != SLUICE_ERROR_SUCCESS;
}
