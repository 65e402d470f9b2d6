/* SPDX-License-Identifier: MIT */
#include "serve/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define V1_MAX 107 /* including the line end */
#define V2_HEAD 16

static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_SIGNATURE (sizeof(v2_signature) - 1)

static struct proxy_address of_v4(const void *address)
{
	struct proxy_address mapped = {.known = true};

	mapped.address.s6_addr[10] = 0xff;
	mapped.address.s6_addr[11] = 0xff;
	memcpy(mapped.address.s6_addr + 12, address, 4);
	return mapped;
}

static struct proxy_address of_v6(const void *address)
{
	struct proxy_address found = {.known = true};

	memcpy(&found.address, address, sizeof(found.address));
	return found;
}

struct proxy_address proxy_address_of(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return of_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
	if (address->sa_family == AF_INET6)
		return of_v6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	return (struct proxy_address){.known = false};
}

/* Parses an IPv4 or IPv6 address, and nothing else. */
static struct proxy_address read_address(struct span span)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;

	if (span.length == 0 || span.length >= sizeof(text))
		return (struct proxy_address){.known = false};
	memcpy(text, span.at, span.length);
	text[span.length] = '\0';
	if (strlen(text) != span.length)
		return (struct proxy_address){.known = false};
	if (inet_pton(AF_INET, text, &v4) == 1)
		return of_v4(&v4);
	if (inet_pton(AF_INET6, text, &v6) == 1)
		return of_v6(&v6);
	return (struct proxy_address){.known = false};
}

static struct span take_word(struct span *line)
{
	const char *end = memchr(line->at, ' ', line->length);
	struct span word = {line->at, end != NULL ? (size_t)(end - line->at) : line->length};

	*line = span_from(*line, word.length + (end != NULL));
	return word;
}

static bool is_port(struct span word)
{
	unsigned int port = 0;

	for (size_t i = 0; i < word.length; i++) {
		if (word.at[i] < '0' || word.at[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(word.at[i] - '0');
	}
	return word.length > 0 && word.length <= 5 && port <= 65535;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80" */
static enum proxy_outcome read_v1(const char *data, size_t length, size_t *ret_length,
				  struct proxy_address *ret_client)
{
	size_t most = length < V1_MAX ? length : V1_MAX;
	const char *end = memchr(data, '\n', most);
	struct proxy_address to;
	struct span line, family;

	if (end == NULL)
		return length >= V1_MAX ? PROXY_WRONG : PROXY_INCOMPLETE;
	if (end == data || end[-1] != '\r')
		return PROXY_WRONG;
	line = (struct span){data, (size_t)(end - data) - 1};
	*ret_length = line.length + 2;
	take_word(&line);
	family = take_word(&line);
	*ret_client = (struct proxy_address){.known = false};
	if (span_equals(family, span_of("UNKNOWN")))
		return PROXY_COMPLETE;
	if (!span_equals(family, span_of("TCP4")) && !span_equals(family, span_of("TCP6")))
		return PROXY_WRONG;
	*ret_client = read_address(take_word(&line));
	to = read_address(take_word(&line));
	if (!ret_client->known || !to.known || !is_port(take_word(&line)) ||
	    !is_port(take_word(&line)) || line.length > 0)
		return PROXY_WRONG;
	return PROXY_COMPLETE;
}

static enum proxy_outcome read_v2(const char *data, size_t length, size_t *ret_length,
				  struct proxy_address *ret_client)
{
	const unsigned char *bytes = (const unsigned char *)data;
	size_t body;

	if (length < V2_HEAD)
		return PROXY_INCOMPLETE;
	body = (size_t)bytes[14] << 8 | bytes[15];
	if ((bytes[12] >> 4) != 2 || (bytes[12] & 15) > 1 || body > PROXY_HEADER_MAX - V2_HEAD)
		return PROXY_WRONG;
	if (length < V2_HEAD + body)
		return PROXY_INCOMPLETE;
	*ret_length = V2_HEAD + body;
	*ret_client = (struct proxy_address){.known = false};
	/* LOCAL: a connection by the proxy itself. */
	if ((bytes[12] & 15) == 0)
		return PROXY_COMPLETE;
	if (bytes[13] == 0x11 && body >= 12)
		*ret_client = of_v4(bytes + V2_HEAD);
	else if (bytes[13] == 0x21 && body >= 36)
		*ret_client = of_v6(bytes + V2_HEAD);
	else if (bytes[13] == 0x11 || bytes[13] == 0x21)
		return PROXY_WRONG;
	return PROXY_COMPLETE;
}

enum proxy_outcome proxy_read(const char *data, size_t length, size_t *ret_length,
			      struct proxy_address *ret_client)
{
	static const char v1[] = "PROXY ";
	size_t v1_length = length < 6 ? length : 6;
	size_t v2_length = length < V2_SIGNATURE ? length : V2_SIGNATURE;

	if (length == 0)
		return PROXY_INCOMPLETE;
	if (memcmp(data, v1, v1_length) == 0)
		return length < 6 ? PROXY_INCOMPLETE
				  : read_v1(data, length, ret_length, ret_client);
	if (memcmp(data, v2_signature, v2_length) == 0)
		return read_v2(data, length, ret_length, ret_client);
	return PROXY_WRONG;
}

bool proxy_read_net(const char *text, struct proxy_net *ret_net)
{
	size_t length = strcspn(text, "/");
	struct proxy_address address = read_address((struct span){text, length});
	bool v4 = memchr(text, ':', length) == NULL;
	unsigned long bits = v4 ? 32 : 128;
	char *end;

	if (!address.known)
		return false;
	if (text[length] == '/') {
		const char *number = text + length + 1;

		bits = strtoul(number, &end, 10);
		if (*number < '0' || *number > '9' || *end != '\0' || bits > (v4 ? 32u : 128u))
			return false;
	}
	ret_net->address = address.address;
	ret_net->bits = (unsigned int)bits + (v4 ? 96 : 0);
	return true;
}

bool proxy_net_has(const struct proxy_net *net, const struct in6_addr *address)
{
	unsigned int bytes = net->bits / 8, rest = net->bits % 8;
	unsigned char mask = (unsigned char)(0xff00u >> rest);

	if (memcmp(net->address.s6_addr, address->s6_addr, bytes) != 0)
		return false;
	return rest == 0 || ((net->address.s6_addr[bytes] ^ address->s6_addr[bytes]) & mask) == 0;
}

static bool is_trusted(const struct proxy_net *nets, size_t count, const struct in6_addr *address)
{
	for (size_t i = 0; i < count; i++) {
		if (proxy_net_has(&nets[i], address))
			return true;
	}
	return false;
}

/* Removes the last element of a list. */
static struct span take_last(struct span *list, char separator)
{
	const char *comma = memrchr(list->at, separator, list->length);
	struct span last = *list;

	if (comma != NULL) {
		last = span_from(*list, (size_t)(comma - list->at) + 1);
		list->length = (size_t)(comma - list->at);
	} else {
		list->length = 0;
	}
	return span_trim(last);
}

/* An address, optionally with a port: "192.0.2.1:80", "[::1]:80", "::1"; also quoted. */
static struct proxy_address read_node(struct span node)
{
	const char *end;

	if (node.length >= 2 && node.at[0] == '"' && node.at[node.length - 1] == '"')
		node = (struct span){node.at + 1, node.length - 2};
	if (node.length > 0 && node.at[0] == '[') {
		end = memchr(node.at, ']', node.length);
		if (end == NULL)
			return (struct proxy_address){.known = false};
		return read_address((struct span){node.at + 1, (size_t)(end - node.at) - 1});
	}
	end = memchr(node.at, ':', node.length);
	if (end != NULL && memrchr(node.at, ':', node.length) == end)
		node.length = (size_t)(end - node.at);
	return read_address(node);
}

/* The "for" of one element of a Forwarded header. */
static struct proxy_address read_element(struct span element)
{
	while (element.length > 0) {
		struct span pair = take_last(&element, ';');

		if (pair.length > 4 && span_matches((struct span){pair.at, 4}, span_of("for=")))
			return read_node(span_from(pair, 4));
	}
	return (struct proxy_address){.known = false};
}

struct proxy_address proxy_forwarded(struct span forwarded, struct span x_forwarded_for,
				     const struct proxy_net *nets, size_t count)
{
	bool standard = forwarded.at != NULL;
	struct span list = standard ? forwarded : x_forwarded_for;
	struct proxy_address found = {.known = false};

	while (list.at != NULL && list.length > 0) {
		struct span last = take_last(&list, ',');
		struct proxy_address next = standard ? read_element(last) : read_node(last);

		/* The elements before an invalid one are not trustworthy. */
		if (!next.known)
			break;
		found = next;
		if (!is_trusted(nets, count, &next.address))
			break;
	}
	return found;
}

void proxy_write(const struct proxy_address *address, char *ret_text)
{
	const struct in6_addr *v6 = &address->address;

	if (!address->known)
		memcpy(ret_text, "-", 2);
	else if (IN6_IS_ADDR_V4MAPPED(v6))
		inet_ntop(AF_INET, v6->s6_addr + 12, ret_text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, v6, ret_text, INET6_ADDRSTRLEN);
}
