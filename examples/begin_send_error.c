/* SPDX-License-Identifier: MIT */
/* Sends a line twice, the second time after the stream was shut: begin_send_error HOST PORT */
#include <sluice/sluice.h>
#include <stdio.h>

#include "peer.h"

int main(int argc, char **argv)
{
	static const char line[] = "Hello from begin_send_error\n";
	int fd = peer_connect(argc, argv, 1, "begin_send_error HOST PORT");
	struct sluice_async_result *result;
	struct sluice_engine *engine;
	struct sluice_socket *peer;
	enum sluice_socket_error error;
	int64_t bytes = 0;

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
