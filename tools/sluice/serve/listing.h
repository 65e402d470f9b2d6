/* SPDX-License-Identifier: MIT */
/* The listing of a directory as an HTML page or as JSON; pure. */
#ifndef SLUICE_COMMAND_SERVE_LISTING_H
#define SLUICE_COMMAND_SERVE_LISTING_H

#include "buffer.h"
#include "span.h"

enum listing_key {
	LISTING_BY_NAME,
	LISTING_BY_SIZE,
	LISTING_BY_TIME,
};

/* The form that a client requests; three bits form a number that identifies it. */
struct listing_view {
	enum listing_key key;
	bool descending;
	bool json;
};

struct listing_item {
	const char *name; /* terminated */
	uint64_t size;    /* of a file */
	int64_t modified; /* seconds since 1970 */
	bool is_directory;
};

/* The order that a query requests: "?sort=size&order=desc". The rest of the query is ignored. */
struct listing_view listing_read_query(struct span query);

/* Whether an Accept header prefers JSON to HTML. */
bool listing_wants_json(struct span accept);

/* Converts each view to a number below LISTING_VIEWS, and back. */
#define LISTING_VIEWS 16
unsigned int listing_view_number(struct listing_view view);
struct listing_view listing_view_of(unsigned int number);

/* Directories come first, both kinds in the order of the view. */
void listing_sort(struct listing_item *items, size_t count, struct listing_view view);

/* Writes sorted items. path is the directory's, in plain form; truncated: there are more. */
void listing_write(struct buffer *buffer, struct span path, const struct listing_item *items,
		   size_t count, struct listing_view view, bool truncated);

#endif
