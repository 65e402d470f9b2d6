/* SPDX-License-Identifier: MIT */
/* Begins to send a line and ends it in a callback, in another thread: begin_send HOST PORT */
#include <semaphore.h>
#include <sluice/sluice.h>
#include <stdio.h>

#include "peer.h"

static sem_t done;

static void sent(struct sluice_async_result *result)
{
	struct sluice_socket *peer = sluice_async_result_state(result);
	int64_t bytes = checked("end_send", sluice_end_send(peer, result, NULL));

	printf("Success, %lld bytes\n", (long long)bytes);
	sem_post(&done); /* the first thread may go on */
}

int main(int argc, char **argv)
{
	static const char line[] = "Hello from begin_send\n";
	int fd = peer_connect(argc, argv, 1, "begin_send HOST PORT");
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;

	sem_init(&done, 0, 0);
	/* The engine has a thread of its own, and some for callbacks. */
	checked("engine", sluice_engine_create(&engine, NULL));
	checked("start", sluice_engine_start(engine));
	checked("attach", sluice_socket_attach(engine, fd, &peer));
	checked("begin_send", sluice_begin_send(peer, line, sizeof line, 0, sizeof line - 1, 0,
						NULL, sent, peer, &result));
	while (sem_wait(&done) != 0)
		;
	return sluice_engine_destroy(engine) < 0; /* closes the socket, too */
}
