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

/* How a client wants it; three bits make up a number that tells views apart. */
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

/* The order that a query asks for: "?sort=size&order=desc". Everything else in it is ignored. */
struct listing_view listing_read_query(struct span query);

/* Whether an Accept header prefers JSON to HTML. */
bool listing_wants_json(struct span accept);

/* A number below LISTING_VIEWS for each view, and back. */
#define LISTING_VIEWS 16
unsigned int listing_view_number(struct listing_view view);
struct listing_view listing_view_of(unsigned int number);

/* Directories come first, each kind in the order of the view. */
void listing_sort(struct listing_item *items, size_t count, struct listing_view view);

/* Writes sorted items. path is the directory's, in its plain form; truncated says that more exist. */
void listing_write(struct buffer *buffer, struct span path, const struct listing_item *items,
		   size_t count, struct listing_view view, bool truncated);

#endif
