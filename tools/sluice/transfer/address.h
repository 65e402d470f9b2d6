/* SPDX-License-Identifier: MIT */
/* HOST:PORT of a command line. */
#ifndef SLUICE_COMMAND_TRANSFER_ADDRESS_H
#define SLUICE_COMMAND_TRANSFER_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_HOST_MAX 255

struct address {
	char host[ADDRESS_HOST_MAX + 1];
	uint16_t port;
};

/* Accepts a decimal number from least to 65535, and nothing else. */
bool address_read_port(const char *text, uint16_t least, uint16_t *ret_port);

/* "name:9000", "127.0.0.1:9000", "[::1]:9000". NULL, or the reason why it is invalid. */
const char *address_parse(const char *text, struct address *ret_address);

#endif
