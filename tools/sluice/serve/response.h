/* SPDX-License-Identifier: MIT */
/* The text of a response's head, and of the short bodies of errors; pure. */
#ifndef SLUICE_COMMAND_SERVE_RESPONSE_H
#define SLUICE_COMMAND_SERVE_RESPONSE_H

#include <stdint.h>

#include "serve/mime.h"
#include "serve/range.h"
#include "text.h"

/* The value of the Connection header. */
enum response_connection {
	RESPONSE_CONNECTION_DEFAULT, /* none: HTTP/1.1 stays open */
	RESPONSE_CONNECTION_KEEP_ALIVE,
	RESPONSE_CONNECTION_CLOSE,
};

/* Spans with at NULL are omitted. */
struct response_head {
	int status;
	enum response_connection connection;
	const char *date; /* HTTPDATE_LENGTH characters */
	struct media media;
	struct span etag;
	struct span last_modified;
	struct span vary;
	struct span location; /* a path in plain form, which is escaped on output */
	struct span query;    /* of the location, unchanged */
	struct span url;      /* a complete location */
	struct span extra;    /* lines of additional headers */
	bool accepts_ranges;
	bool has_length;
	uint64_t content_length;
	struct range range; /* 206: the range; of length 0: several ranges */
	uint64_t size;      /* 206 and 416: the size of the file */
};

/* Writes the head with its empty line. */
void response_write_head(struct text *text, const struct response_head *head);

/* The Content-Type header, if the type is known. */
void response_write_type(struct text *text, const struct media *media);

/* The Content-Range header; a range of length 0 means: unsatisfied, for so many bytes. */
void response_write_content_range(struct text *text, struct range range, uint64_t size);

/* The offset of the date in a head of this status. */
size_t response_date_offset(int status);

/* "Not Found" */
const char *response_reason(int status);

/*
 * One line of text that explains an error or a redirect to a person: the text of the status, or an
 * explanation that replaces it.
 */
void response_write_explanation(struct text *text, int status, const char *explanation);

#endif
