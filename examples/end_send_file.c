/* SPDX-License-Identifier: MIT */
/* Connects, sends a file and waits until it has left: end_send_file FILE HOST PORT */
#include <err.h>
#include <netdb.h>
#include <semaphore.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static sem_t done;

static void checked(const char *what, int64_t answer)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror((int)-answer));
}

static void sent(struct sluice_async_result *result)
{
	struct sluice_socket *peer = sluice_async_result_state(result);
	int64_t bytes = sluice_async_result_bytes(result);

	checked("end_send_file", sluice_end_send_file(peer, result));
	printf("Success, %lld bytes\n", (long long)bytes);
	sem_post(&done);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int fd;

	if (argc != 4 || getaddrinfo(argv[2], argv[3], &hints, &remote) != 0)
		errx(1, "end_send_file FILE HOST PORT");
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	sem_init(&done, 0, 0);
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("start", sluice_engine_start(engine));
	checked("attach", sluice_socket_attach(engine, fd, &peer));

	checked(argv[2], sluice_begin_connect(peer, remote->ai_addr, remote->ai_addrlen, NULL, NULL,
					      &result));
	checked(argv[2], sluice_end_connect(peer, result));
	freeaddrinfo(remote);
	checked(argv[1],
		sluice_begin_send_file(peer, argv[1], NULL, 0, NULL, 0, 0, sent, peer, &result));
	while (sem_wait(&done) != 0)
		;
	checked("destroy", sluice_engine_destroy(engine)); /* closes the socket, too */
	return 0;
}
