/* SPDX-License-Identifier: MIT */
/* HTTP servers of files, configured for one core as their authors would. */
#ifndef BENCH_PEERS_SERVERS_H
#define BENCH_PEERS_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

struct server;

extern const struct server server_sluice;
extern const struct server server_nginx;
extern const struct server server_lighttpd;
extern const struct server server_kestrel;

/* What is missing to run it, for people, or NULL. */
const char *server_lacks(const struct server *server);

/*
 * Turns this process into the server of that directory, on a port of 127.0.0.1. Its own files are
 * made in the directory, too. precompressed: it sends name.br or name.gz to a client that accepts it.
 * Ends the process where that fails.
 */
_Noreturn void server_become(const struct server *server, uint16_t port, const char *directory,
			     bool precompressed);

/* Whether nginx can send variants that are compressed by brotli: a module that Debian has, too. */
bool server_nginx_has_brotli(void);

#endif
