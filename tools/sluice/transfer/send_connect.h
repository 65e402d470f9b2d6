/* SPDX-License-Identifier: MIT */
/* Connects to a host that may have several addresses, as RFC 8305 (Happy Eyeballs) describes it. */
#ifndef SLUICE_COMMAND_TRANSFER_SEND_CONNECT_H
#define SLUICE_COMMAND_TRANSFER_SEND_CONNECT_H

#include <stdint.h>

#include "transfer/address.h"

struct sluice_engine;
struct sluice_socket;

/*
 * Tries the addresses of the host, each 250 ms after the one before or as soon as that one failed;
 * the first that answers is used. where is the host as it was given, for messages. EXIT_OK and the
 * socket, or the exit code, and it was said why.
 */
int connect_host(struct sluice_engine *engine, const char *where, const struct address *address,
		 uint64_t timeout_ns, struct sluice_socket **ret_socket);

#endif
