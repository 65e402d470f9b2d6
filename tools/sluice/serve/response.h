/* SPDX-License-Identifier: MIT */
/* The text of a response's head, and of the short bodies that errors have; pure. */
#ifndef SLUICE_COMMAND_SERVE_RESPONSE_H
#define SLUICE_COMMAND_SERVE_RESPONSE_H

#include <stdint.h>

#include "serve/mime.h"
#include "serve/range.h"
#include "text.h"

/* What the Connection header says. */
enum response_connection {
	RESPONSE_CONNECTION_DEFAULT, /* nothing: HTTP/1.1 stays open */
	RESPONSE_CONNECTION_KEEP_ALIVE,
	RESPONSE_CONNECTION_CLOSE,
};

/* Spans whose at is NULL are left out. */
struct response_head {
	int status;
	enum response_connection connection;
	const char *date; /* HTTPDATE_LENGTH characters */
	struct media media;
	struct span etag;
	struct span last_modified;
	struct span vary;
	struct span location; /* a path in its plain form; it is escaped here */
	struct span query;    /* of the location, as it came */
	struct span url;      /* a location that is complete */
	struct span extra;    /* lines of further headers */
	bool accepts_ranges;
	bool has_length;
	uint64_t content_length;
	struct range range; /* 206: which bytes; of no length: several ranges */
	uint64_t size;      /* 206 and 416: of how many */
};

/* Writes the head with its empty line. */
void response_write_head(struct text *text, const struct response_head *head);

/* The Content-Type header, if the type is known. */
void response_write_type(struct text *text, const struct media *media);

/* The Content-Range header; of a range without length, that there is none in so many bytes. */
void response_write_content_range(struct text *text, struct range range, uint64_t size);

/* Where the date stands in a head of this status. */
size_t response_date_offset(int status);

/* "Not Found" */
const char *response_reason(int status);

/*
 * The body that explains an error or a redirect to a person, one line of text: what the status says,
 * or an explanation in its place.
 */
void response_write_explanation(struct text *text, int status, const char *explanation);

#endif
