/* SPDX-License-Identifier: MIT */
/* Sends a line, as much at a time as the kernel takes: end_send HOST PORT */
#include <err.h>
#include <netdb.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static void checked(const char *what, int64_t answer)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror((int)-answer));
}

int main(int argc, char **argv)
{
	static const char line[] = "Hello from end_send\n";
	const int64_t length = sizeof line - 1;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int64_t sent = 0, bytes;
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		errx(1, "end_send HOST PORT");
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		err(1, "%s", argv[1]);
	freeaddrinfo(remote);
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("start", sluice_engine_start(engine));
	checked("attach", sluice_socket_attach(engine, fd, &peer));

	/* Without PARTIAL one End would bring all of it. */
	for (; sent < length; sent += bytes) {
		checked("begin_send",
			sluice_begin_send(peer, line, sizeof line, sent, length - sent,
					  SLUICE_FLAG_PARTIAL, NULL, NULL, NULL, &result));
		bytes = sluice_end_send(peer, result, NULL); /* blocks until some was sent */
		checked("end_send", bytes);
	}
	printf("Success, %lld bytes\n", (long long)sent);
	return sluice_engine_destroy(engine) < 0; /* closes the socket, too */
}
