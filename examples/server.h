/* SPDX-License-Identifier: MIT */
/* What the examples that listen have in common: errors, signals, a listener on the loopback. */
#ifndef SERVER_H
#define SERVER_H

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/sluice.h>

static struct sluice_engine *engine;
static volatile sig_atomic_t stopping;

static inline int checked(const char *what, int answer)
{
	if (answer >= 0)
		return answer;
	fprintf(stderr, "%s: %s\n", what, strerror(-answer));
	exit(1);
}

static inline void on_signal(int number)
{
	(void)number;
	stopping = 1;
	sluice_engine_wake(engine); /* the one call that a signal handler may make */
}

static inline void stop_on_signals(void)
{
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
}

/* Listens at the port, 0: a free one, and calls on_accepted for every connection. */
static inline struct sluice_socket *serve(int port, sluice_accepted_fn *on_accepted)
{
	struct sluice_accept_options options = {.size = sizeof options, .on_accepted = on_accepted};
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;
	struct sluice_socket *listener;
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    listen(fd, SOMAXCONN) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		checked("listen", -errno);
	checked("attach", sluice_socket_attach(engine, fd, &listener));
	checked("accept", sluice_accept_start(listener, &options));
	printf("listening on 127.0.0.1 port %d, with %s\n", ntohs(address.sin_port),
	       sluice_engine_backend(engine));
	fflush(stdout);
	return listener;
}

static inline void run_until_stopped(void)
{
	int answer = 0;

	while (!stopping && (answer >= 0 || answer == -EINTR))
		answer = sluice_engine_run(engine, -1);
	sluice_engine_destroy(engine);
}

#endif
