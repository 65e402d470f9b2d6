/* SPDX-License-Identifier: MIT */
/* What the examples share: a connected descriptor, and words for what is refused. */
#ifndef EXAMPLES_PEER_H
#define EXAMPLES_PEER_H

#include <err.h>
#include <netdb.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static inline int64_t checked(const char *what, int64_t answer)
{
	if (answer < 0)
		errx(1, "%s: %s", what, strerror((int)-answer));
	return answer;
}

/* A TCP descriptor, connected to HOST PORT, the two arguments from the first on. */
static inline int peer_connect(int argc, char **argv, int first, const char *usage)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *remote = NULL;
	int fd;

	if (argc != first + 2 || getaddrinfo(argv[first], argv[first + 1], &hints, &remote) != 0)
		errx(1, "%s", usage);
	fd = socket(remote->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0)
		err(1, "%s", argv[first]);
	freeaddrinfo(remote);
	return fd;
}

#endif
