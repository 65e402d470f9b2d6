/* SPDX-License-Identifier: MIT */
#include "serve/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "serve/escape.h"
#include "serve/negotiate.h"

static const char page_start[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<style>\n"
	":root { color-scheme: light dark; }\n"
	"body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto;"
	" padding: 1rem; }\n"
	"h1 { font-size: 1.25rem; overflow-wrap: anywhere; }\n"
	"a { text-decoration: none; }\n"
	"a:hover, a:focus { text-decoration: underline; }\n"
	"table { border-collapse: collapse; width: 100%; }\n"
	"th { text-align: left; }\n"
	"th, td { padding: 0.4rem 0.5rem; border-bottom: 1px solid rgba(128, 128, 128, 0.3);"
	" vertical-align: top; }\n"
	"td:first-child { overflow-wrap: anywhere; width: 100%; }\n"
	"th + th, td + td { text-align: right; white-space: nowrap; }\n"
	"@media (max-width: 36rem) { body { padding: 0.5rem; } .clock { display: none; } }\n"
	"</style>\n";

/* The query */

static bool next_pair(struct span *query, struct span *ret_name, struct span *ret_value)
{
	const char *end, *sign;

	if (query->length == 0)
		return false;
	end = memchr(query->at, '&', query->length);
	ret_name->at = query->at;
	ret_name->length = end != NULL ? (size_t)(end - query->at) : query->length;
	*query = span_from(*query, ret_name->length + (end != NULL));
	sign = memchr(ret_name->at, '=', ret_name->length);
	*ret_value = (struct span){"", 0};
	if (sign != NULL) {
		*ret_value = span_from(*ret_name, (size_t)(sign - ret_name->at) + 1);
		ret_name->length = (size_t)(sign - ret_name->at);
	}
	return true;
}

struct listing_view listing_read_query(struct span query)
{
	struct listing_view view = {0};
	struct span name, value;

	if (query.length > 0 && query.at[0] == '?')
		query = span_from(query, 1);
	while (next_pair(&query, &name, &value)) {
		if (span_equals(name, span_of("sort"))) {
			if (span_equals(value, span_of("name")))
				view.key = LISTING_BY_NAME;
			else if (span_equals(value, span_of("size")))
				view.key = LISTING_BY_SIZE;
			else if (span_equals(value, span_of("time")))
				view.key = LISTING_BY_TIME;
		} else if (span_equals(name, span_of("order"))) {
			view.descending = span_equals(value, span_of("desc"));
		}
	}
	return view;
}

bool listing_wants_json(struct span accept)
{
	unsigned int json, html;
	bool json_named, html_named;

	if (accept.at == NULL)
		return false;
	json = negotiate_media(accept, span_of("application/json"), &json_named);
	html = negotiate_media(accept, span_of("text/html"), &html_named);
	return json > html || (json > 0 && json == html && json_named && !html_named);
}

unsigned int listing_view_number(struct listing_view view)
{
	return (unsigned int)view.key << 2 | (unsigned int)view.descending << 1 |
	       (unsigned int)view.json;
}

struct listing_view listing_view_of(unsigned int number)
{
	return (struct listing_view){
		.key = (enum listing_key)(number >> 2 & 3),
		.descending = (number & 2) != 0,
		.json = (number & 1) != 0,
	};
}

/* The order */

static int compare_names(const struct listing_item *a, const struct listing_item *b)
{
	int difference = strcasecmp(a->name, b->name);

	return difference != 0 ? difference : strcmp(a->name, b->name);
}

static int compare_items(const void *left, const void *right, void *argument)
{
	const struct listing_item *a = left, *b = right;
	const struct listing_view *view = argument;
	int difference = 0;

	if (a->is_directory != b->is_directory)
		return a->is_directory ? -1 : 1;
	if (view->key == LISTING_BY_SIZE && !a->is_directory)
		difference = (a->size > b->size) - (a->size < b->size);
	else if (view->key == LISTING_BY_TIME)
		difference = (a->modified > b->modified) - (a->modified < b->modified);
	if (difference == 0)
		difference = compare_names(a, b);
	return view->descending ? -difference : difference;
}

void listing_sort(struct listing_item *items, size_t count, struct listing_view view)
{
	if (count > 1)
		qsort_r(items, count, sizeof(*items), compare_items, &view);
}

/* HTML */

/* A link for each parent directory; the last name has none. */
static void write_path(struct buffer *buffer, struct span path)
{
	size_t above = 0;

	for (size_t i = 1; i < path.length; i++)
		above += path.at[i] == '/';
	for (size_t from = 0; from < path.length; above--) {
		const char *end = memchr(path.at + from, '/', path.length - from);
		size_t to = end != NULL ? (size_t)(end - path.at) + 1 : path.length;

		if (above > 0) {
			buffer_add_string(buffer, "<a href=\"");
			for (size_t i = 0; i < above; i++)
				buffer_add_string(buffer, "../");
			buffer_add_string(buffer, "\">");
		}
		escape_html(buffer, (struct span){path.at + from, to - from});
		if (above > 0)
			buffer_add_string(buffer, "</a>");
		from = to;
		if (above == 0)
			break;
	}
}

/* A second click on a column reverses the order. */
static void write_column(struct buffer *buffer, const char *title, const char *name,
			 enum listing_key key, struct listing_view view)
{
	bool current = view.key == key;
	const char *order = current && !view.descending ? "desc" : "asc";
	const char *arrow = !current ? "" : view.descending ? " \xe2\x86\x93" : " \xe2\x86\x91";
	const char *state = !current ? "none" : view.descending ? "descending" : "ascending";

	buffer_add_format(buffer,
			  "<th scope=\"col\" aria-sort=\"%s\">"
			  "<a href=\"?sort=%s&amp;order=%s\">%s%s</a></th>",
			  state, name, order, title, arrow);
}

static void write_size(struct buffer *buffer, uint64_t size)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double number = (double)size / 1024;
	size_t unit = 0;

	if (size < 1024) {
		buffer_add_format(buffer, "%" PRIu64 " B", size);
		return;
	}
	while (number >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		number /= 1024;
		unit++;
	}
	buffer_add_format(buffer, "%.*f %s", number < 10 ? 1 : 0, number, units[unit]);
}

/* A time in UTC with these separators; nothing for one outside the calendar. */
static void write_time(struct buffer *buffer, int64_t seconds, const char *between,
		       const char *behind)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&time, &tm) != NULL)
		buffer_add_format(buffer, "%04d-%02d-%02d%s%02d:%02d:%02d%s", tm.tm_year + 1900,
				  tm.tm_mon + 1, tm.tm_mday, between, tm.tm_hour, tm.tm_min,
				  tm.tm_sec, behind);
}

static void write_row(struct buffer *buffer, const struct listing_item *item)
{
	struct span name = span_of(item->name);
	const char *slash = item->is_directory ? "/" : "";

	/* Before the name, so that "a:b" is not taken for a scheme. */
	buffer_add_string(buffer, "<tr><td><a href=\"./");
	escape_url(buffer, name);
	buffer_add_format(buffer, "%s\">", slash);
	escape_html(buffer, name);
	buffer_add_format(buffer, "%s</a></td><td>", slash);
	if (!item->is_directory)
		write_size(buffer, item->size);
	buffer_add_string(buffer, "</td><td>");
	write_time(buffer, item->modified, "<span class=\"clock\"> ", "</span>");
	buffer_add_string(buffer, "</td></tr>\n");
}

static void write_html(struct buffer *buffer, struct span path, const struct listing_item *items,
		       size_t count, struct listing_view view, bool truncated)
{
	buffer_add_string(buffer, page_start);
	buffer_add_string(buffer, "<title>");
	escape_html(buffer, path);
	buffer_add_string(buffer, "</title>\n</head>\n<body>\n<h1>");
	write_path(buffer, path);
	buffer_add_string(buffer, "</h1>\n<table>\n<thead><tr>");
	write_column(buffer, "Name", "name", LISTING_BY_NAME, view);
	write_column(buffer, "Size", "size", LISTING_BY_SIZE, view);
	write_column(buffer, "Modified", "time", LISTING_BY_TIME, view);
	buffer_add_string(buffer, "</tr></thead>\n<tbody>\n");
	if (path.length > 1)
		buffer_add_string(buffer,
				  "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
	for (size_t i = 0; i < count; i++)
		write_row(buffer, &items[i]);
	buffer_add_string(buffer, "</tbody>\n</table>\n");
	if (count == 0)
		buffer_add_string(buffer, "<p>This directory is empty.</p>\n");
	if (truncated)
		buffer_add_format(buffer, "<p>Only the first %zu names are listed.</p>\n", count);
	buffer_add_string(buffer, "</body>\n</html>\n");
}

/* JSON */

static void write_object(struct buffer *buffer, const struct listing_item *item)
{
	buffer_add_string(buffer, "{\"name\":\"");
	escape_json(buffer, span_of(item->name));
	buffer_add_format(buffer, "\",\"type\":\"%s\",\"size\":%" PRIu64 ",\"mtime\":\"",
			  item->is_directory ? "directory" : "file",
			  item->is_directory ? 0 : item->size);
	write_time(buffer, item->modified, "T", "Z");
	buffer_add_string(buffer, "\"}");
}

void listing_write(struct buffer *buffer, struct span path, const struct listing_item *items,
		   size_t count, struct listing_view view, bool truncated)
{
	if (!view.json) {
		write_html(buffer, path, items, count, view, truncated);
		return;
	}
	buffer_add_string(buffer, "[");
	for (size_t i = 0; i < count; i++) {
		buffer_add_string(buffer, i > 0 ? ",\n" : "\n");
		write_object(buffer, &items[i]);
	}
	buffer_add_string(buffer, "\n]\n");
}
