/* SPDX-License-Identifier: MIT */
/*
 * Client addresses from proxies: the PROXY protocol, versions 1 and 2, at the start of a
 * connection, and the headers Forwarded and X-Forwarded-For of a request. Pure.
 */
#ifndef SLUICE_COMMAND_SERVE_PROXY_H
#define SLUICE_COMMAND_SERVE_PROXY_H

#include <netinet/in.h>
#include <stdint.h>

#include "span.h"

/* An address without a port; IPv4 is IPv4-mapped. */
struct proxy_address {
	struct in6_addr address;
	bool known;
};

enum proxy_outcome {
	PROXY_INCOMPLETE,
	PROXY_COMPLETE,
	PROXY_WRONG,
};

#define PROXY_HEADER_MAX 4096 /* of version 2, with its extensions */

/*
 * Parses the header at the start of data. When complete, ret_length is its length, and ret_client
 * the client; unknown for health checks of the proxy, and for other families than IPv4 and IPv6.
 */
enum proxy_outcome proxy_read(const char *data, size_t length, size_t *ret_length,
			      struct proxy_address *ret_client);

/* An address prefix. */
struct proxy_net {
	struct in6_addr address;
	unsigned int bits; /* of 128 */
};

/* "10.0.0.0/8", "::1"; false: invalid. */
bool proxy_read_net(const char *text, struct proxy_net *ret_net);
bool proxy_net_has(const struct proxy_net *net, const struct in6_addr *address);

struct proxy_address proxy_address_of(const struct sockaddr *address);

/*
 * The client behind trusted proxies: the last address in a Forwarded header, or else in
 * X-Forwarded-For, that is not a trusted proxy. Unknown if there is none.
 */
struct proxy_address proxy_forwarded(struct span forwarded, struct span x_forwarded_for,
				     const struct proxy_net *nets, size_t count);

/* Formats it numerically; needs at least INET6_ADDRSTRLEN characters. */
void proxy_write(const struct proxy_address *address, char *ret_text);

#endif
