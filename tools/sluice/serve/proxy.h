/* SPDX-License-Identifier: MIT */
/*
 * What proxies say of their clients: the header of the PROXY protocol, versions 1 and 2, in front of
 * a connection, and the headers Forwarded and X-Forwarded-For in a request. Pure.
 */
#ifndef SLUICE_COMMAND_SERVE_PROXY_H
#define SLUICE_COMMAND_SERVE_PROXY_H

#include <netinet/in.h>
#include <stdint.h>

#include "span.h"

/* An address without its port; IPv4 as a mapped address of IPv6. */
struct proxy_address {
	struct in6_addr address;
	bool known;
};

enum proxy_outcome {
	PROXY_INCOMPLETE,
	PROXY_COMPLETE,
	PROXY_WRONG,
};

#define PROXY_HEADER_MAX 4096 /* of version 2, with what else is in it */

/*
 * Reads the header from the front of data. When complete, ret_length is its length, and ret_client
 * the client; not known for a proxy's own checks, and for what is neither IPv4 nor IPv6.
 */
enum proxy_outcome proxy_read(const char *data, size_t length, size_t *ret_length,
			      struct proxy_address *ret_client);

/* Addresses that share their first bits. */
struct proxy_net {
	struct in6_addr address;
	unsigned int bits; /* of 128 */
};

/* "10.0.0.0/8", "::1"; false: neither. */
bool proxy_read_net(const char *text, struct proxy_net *ret_net);
bool proxy_net_has(const struct proxy_net *net, const struct in6_addr *address);

struct proxy_address proxy_address_of(const struct sockaddr *address);

/*
 * The client behind proxies that are trusted: of the addresses in a Forwarded header, or else in
 * X-Forwarded-For, the last that is not itself a trusted proxy. Not known if there is none.
 */
struct proxy_address proxy_forwarded(struct span forwarded, struct span x_forwarded_for,
				     const struct proxy_net *nets, size_t count);

/* Writes it as a number; at least INET6_ADDRSTRLEN characters. */
void proxy_write(const struct proxy_address *address, char *ret_text);

#endif
