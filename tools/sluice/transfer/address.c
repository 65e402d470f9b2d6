/* SPDX-License-Identifier: MIT */
#include "transfer/address.h"

#include <stddef.h>
#include <string.h>

bool address_read_port(const char *text, uint16_t least, uint16_t *ret_port)
{
	uint32_t port = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = 10 * port + (uint32_t)(*text - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*ret_port = (uint16_t)port;
	return port >= least;
}

const char *address_parse(const char *text, struct address *ret_address)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t length;

	if (colon == NULL)
		return "not HOST:PORT";
	length = (size_t)(colon - text);
	if (host[0] == '[') {
		if (length < 3 || host[length - 1] != ']')
			return "an IPv6 address is written [::1]:9000";
		host++;
		length -= 2;
	} else if (memchr(host, ':', length) != NULL) {
		return "an IPv6 address is written [::1]:9000";
	}
	if (length == 0)
		return "missing host";
	if (length > ADDRESS_HOST_MAX)
		return "host name too long";
	if (!address_read_port(colon + 1, 1, &ret_address->port))
		return "the port must be a number from 1 to 65535";
	memcpy(ret_address->host, host, length);
	ret_address->host[length] = '\0';
	return NULL;
}
