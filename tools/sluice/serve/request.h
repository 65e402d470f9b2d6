/* SPDX-License-Identifier: MIT */
/*
 * The head of one request, parsed by llhttp in one piece of memory.
 *
 * llhttp tolerates input that other parsers read differently (a bare line feed, a folded line, a
 * blank in a name): anything ambiguous is refused here. Only the length of a body matters; if it is
 * not known in advance (chunks), the connection has to end with the response.
 */
#ifndef SLUICE_COMMAND_SERVE_REQUEST_H
#define SLUICE_COMMAND_SERVE_REQUEST_H

#include <llhttp.h>
#include <stdint.h>

#include "serve/conditional.h"
#include "span.h"

struct request_limits {
	size_t head_bytes;   /* the request line and the headers */
	size_t target_bytes; /* between the method and the version */
	uint64_t body_bytes; /* a body up to this is read and discarded */
};

struct request {
	llhttp_t parser; /* first: the callbacks cast it to the request */

	struct span target;
	struct span host;
	struct span range;
	struct span user_agent;
	struct span referer;
	struct span accept;
	struct span accept_encoding;
	struct span forwarded;
	struct span x_forwarded_for;
	struct conditions conditions;

	uint64_t body_bytes;   /* after the head */
	size_t length;         /* of the head */
	uint16_t status;       /* 0, or the status to refuse it with */
	uint8_t method;        /* HTTP_GET and so on */
	uint8_t major_version; /* 1 once the head is complete and valid */
	uint8_t minor_version; /* 0 or 1 */
	uint8_t hosts;         /* number of Host headers */
	uint8_t header;        /* the header being parsed */
	bool keep_alive;
	bool chunked;     /* a body follows whose length is only known from itself */
	bool expects;     /* the client waits for a response before it sends its body */
	bool range_split; /* more than one Range header */
	bool conditional; /* it has a condition or a range */
	bool head_complete;
};

enum request_outcome {
	REQUEST_INCOMPLETE, /* the head needs more bytes */
	REQUEST_COMPLETE,
	REQUEST_REFUSED, /* see status; the connection cannot continue */
};

/* Parses one request's head at the start of data. The spans point into data. */
enum request_outcome request_parse(struct request *request, const struct request_limits *limits,
				   const char *data, size_t length);

/* Whether the bytes from new_from on may contain the end of a head. */
bool request_head_may_end(const char *data, size_t length, size_t new_from);

/* "GET"; owned by llhttp. */
const char *request_method_name(const struct request *request);

#endif
