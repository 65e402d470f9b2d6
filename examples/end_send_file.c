/* SPDX-License-Identifier: MIT */
/* Sends a file and waits until it has left: end_send_file FILE HOST PORT */
#include <sluice/sluice.h>
#include <stdio.h>

#include "peer.h"

int main(int argc, char **argv)
{
	int fd = peer_connect(argc, argv, 2, "end_send_file FILE HOST PORT");
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	int64_t bytes;

	checked("engine", sluice_engine_create(&engine, NULL));
	checked("start", sluice_engine_start(engine));
	checked("attach", sluice_socket_attach(engine, fd, &peer));

	checked(argv[1],
		sluice_begin_send_file(peer, argv[1], NULL, 0, NULL, 0, 0, NULL, NULL, &result));
	checked("wait", sluice_async_result_wait(result, -1));
	bytes = sluice_async_result_bytes(result);
	checked("end_send_file", sluice_end_send_file(peer, result));
	printf("Success, %lld bytes\n", (long long)bytes);
	return sluice_engine_destroy(engine) < 0; /* closes the socket, too */
}
