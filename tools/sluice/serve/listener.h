/* SPDX-License-Identifier: MIT */
/* Listening sockets at one address, one for each worker. */
#ifndef SLUICE_COMMAND_SERVE_LISTENER_H
#define SLUICE_COMMAND_SERVE_LISTENER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct listen_address {
	struct sockaddr_storage address;
	socklen_t length;
};

/* Resolves a host's name or number, and a port. NULL, or an error message. */
const char *listen_resolve(const char *host, uint16_t port, struct listen_address *ret_address);

/*
 * Opens count descriptors that listen on the address. Port 0 is replaced by the one that the kernel
 * chose. If the port is in use, retries for two seconds: a killed process may hold it a moment
 * longer. 0, or -errno and no descriptor is open.
 */
int listen_open(struct listen_address *address, int *ret_fds, size_t count);

/* "127.0.0.1:8080", "[::1]:8080". */
void listen_text(const struct listen_address *address, char *ret_text, size_t size);

/* "http://127.0.0.1:8080/"; for a wildcard address, with the loopback address. */
void listen_url(const struct listen_address *address, const char *scheme, char *ret_url,
		size_t size);

#endif
