/* SPDX-License-Identifier: MIT */
/* Sends a line twice, the second time after the stream was shut: begin_send_error HOST PORT */
#include <err.h>
#include <netdb.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static void checked(const char *what, int answer)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror(-answer));
}

int main(int argc, char **argv)
{
	static const char line[] = "Hello from begin_send_error\n";
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	enum sluice_socket_error error;
	int64_t bytes = 0;
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		errx(1, "begin_send_error HOST PORT");
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		err(1, "%s", argv[1]);
	freeaddrinfo(remote);
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("attach", sluice_socket_attach(engine, fd, &peer));

	/* Pending it tells Success; what fails at once has no result. */
	sluice_begin_send(peer, line, sizeof line, 0, sizeof line - 1, 0, &error, NULL, NULL,
			  &result);
	while (result && !sluice_async_result_is_completed(result))
		sluice_engine_run(engine, -1);
	if (result)
		bytes = sluice_end_send(peer, result, &error);
	printf("%s, %lld bytes\n", sluice_socket_error_name(error), (long long)bytes);

	sluice_socket_shutdown(peer, SHUT_WR);
	sluice_begin_send(peer, line, sizeof line, 0, sizeof line - 1, 0, &error, NULL, NULL,
			  &result);
	printf("%s, %s result\n", sluice_socket_error_name(error), result ? "a" : "no");
	return sluice_engine_destroy(engine) < 0;
}
