/* SPDX-License-Identifier: MIT */
/* Begins to send a line and ends it in a callback, in another thread: begin_send HOST PORT */
#include <err.h>
#include <netdb.h>
#include <semaphore.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static sem_t done;
static int status = 1;

static void sent(struct sluice_async_result *result)
{
	struct sluice_socket *peer = sluice_async_result_state(result);
	int64_t bytes = sluice_end_send(peer, result, NULL);

	if (bytes < 0)
		printf("%s\n", strerror((int)-bytes));
	else
		printf("Success, %lld bytes\n", (long long)bytes);
	status = bytes < 0;
	sem_post(&done); /* the first thread may go on */
}

static void checked(const char *what, int64_t answer)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror((int)-answer));
}

int main(int argc, char **argv)
{
	static const char line[] = "Hello from begin_send\n";
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &remote) != 0)
		errx(1, "begin_send HOST PORT");
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		err(1, "%s", argv[1]);
	freeaddrinfo(remote);
	sem_init(&done, 0, 0);

	/* The engine has a thread of its own, and one for callbacks. */
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("start", sluice_engine_start(engine));
	checked("attach", sluice_socket_attach(engine, fd, &peer));
	checked("begin_send", sluice_begin_send(peer, line, sizeof line, 0, sizeof line - 1, 0,
						NULL, sent, peer, &result));
	while (sem_wait(&done) != 0)
		;
	sluice_engine_destroy(engine); /* closes the socket, too */
	return status;
}
