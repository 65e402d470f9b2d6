/* SPDX-License-Identifier: MIT */
/* Connects to a host with several addresses, as in RFC 8305 (Happy Eyeballs). */
#ifndef SLUICE_COMMAND_TRANSFER_SEND_CONNECT_H
#define SLUICE_COMMAND_TRANSFER_SEND_CONNECT_H

#include <stdint.h>

#include "transfer/address.h"

struct sluice_engine;
struct sluice_socket;

/*
 * Tries the addresses of the host, each 250 ms after the one before or as soon as that one failed;
 * the first that answers is used. where is the host as given, for messages. EXIT_OK and the socket,
 * or the exit code after the error was reported.
 */
int connect_host(struct sluice_engine *engine, const char *where, const struct address *address,
		 uint64_t timeout_ns, struct sluice_socket **ret_socket);

#endif
