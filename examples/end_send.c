/* SPDX-License-Identifier: MIT */
/* Sends a line, as much at a time as the kernel takes: end_send HOST PORT */
#include <sluice/sluice.h>
#include <stdio.h>

#include "peer.h"

int main(int argc, char **argv)
{
	static const char line[] = "Hello from end_send\n";
	const int64_t length = sizeof line - 1;
	int fd = peer_connect(argc, argv, 1, "end_send HOST PORT");
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int64_t sent = 0;

	checked("engine", sluice_engine_create(&engine, NULL));
	checked("start", sluice_engine_start(engine));
	checked("attach", sluice_socket_attach(engine, fd, &peer));

	/* Without PARTIAL one End would bring all of it. It blocks until some was sent. */
	while (sent < length) {
		checked("begin_send",
			sluice_begin_send(peer, line, sizeof line, sent, length - sent,
					  SLUICE_FLAG_PARTIAL, NULL, NULL, NULL, &result));
		sent += checked("end_send", sluice_end_send(peer, result, NULL));
	}
	printf("Success, %lld bytes\n", (long long)sent);
	return sluice_engine_destroy(engine) < 0; /* closes the socket, too */
}
