/* SPDX-License-Identifier: MIT */
/*
 * One request's head, read by llhttp from one piece of memory.
 *
 * llhttp forgives what others read differently (a bare line feed, a folded line, a blank in a
 * name): whatever two readers could understand in two ways is refused here. Of a body only the
 * length counts; where that is not known beforehand (chunks), the connection has to end with the
 * answer.
 */
#ifndef SLUICE_COMMAND_SERVE_REQUEST_H
#define SLUICE_COMMAND_SERVE_REQUEST_H

#include <llhttp.h>
#include <stdint.h>

#include "serve/conditional.h"
#include "span.h"

struct request_limits {
	size_t head_bytes;   /* the request line and the headers */
	size_t target_bytes; /* what stands between the method and the version */
	uint64_t body_bytes; /* a body is read and thrown away, up to this */
};

struct request {
	llhttp_t parser; /* first: the callbacks find the request by it */

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

	uint64_t body_bytes;   /* that follow the head */
	size_t length;         /* of the head */
	uint16_t status;       /* 0, or what to refuse it with */
	uint8_t method;        /* HTTP_GET and so on */
	uint8_t major_version; /* 1, once the head is complete and not refused */
	uint8_t minor_version; /* 0 or 1 */
	uint8_t hosts;         /* how many Host headers there are */
	uint8_t header;        /* which header is being read */
	bool keep_alive;
	bool chunked;     /* a body follows, and only its own text says how long it is */
	bool expects;     /* the client waits for an answer before it sends its body */
	bool range_split; /* more than one Range header */
	bool conditional; /* there is a condition or a range */
	bool head_complete;
};

enum request_outcome {
	REQUEST_INCOMPLETE, /* the head needs more bytes */
	REQUEST_COMPLETE,
	REQUEST_REFUSED, /* status tells; the connection cannot go on */
};

/* Reads one request's head from the front of data. The spans point into data. */
enum request_outcome request_parse(struct request *request, const struct request_limits *limits,
				   const char *data, size_t length);

/* Whether the line end of a head may lie in the bytes from new_from on. */
bool request_head_may_end(const char *data, size_t length, size_t new_from);

/* "GET"; the string is llhttp's. */
const char *request_method_name(const struct request *request);

#endif
