/* SPDX-License-Identifier: MIT */
#include "serve/response.h"

#include "serve/httpdate.h"
#include "serve/resolve.h"

static const struct status {
	int status;
	const char *reason;
	const char *explanation;
} statuses[] = {
	{200, "OK", ""},
	{204, "No Content", ""},
	{206, "Partial Content", ""},
	{301, "Moved Permanently", "This is a directory; its URL ends with a slash."},
	{302, "Found", "The file has moved temporarily."},
	{303, "See Other", "The response is at another URL."},
	{304, "Not Modified", ""},
	{307, "Temporary Redirect", "The file has moved temporarily."},
	{308, "Permanent Redirect", "The file has moved."},
	{400, "Bad Request", "The request is malformed."},
	{403, "Forbidden", "Access to this path is forbidden."},
	{404, "Not Found", "File not found."},
	{405, "Method Not Allowed", "Only GET and HEAD are supported."},
	{406, "Not Acceptable", "The file is not available in a requested encoding."},
	{408, "Request Timeout", "The request took too long to arrive."},
	{412, "Precondition Failed", "The file does not match the condition of the request."},
	{413, "Content Too Large", "The request body is too large."},
	{414, "URI Too Long", "The request URL is too long."},
	{416, "Range Not Satisfiable", "The requested range is beyond the end of the file."},
	{431, "Request Header Fields Too Large", "The request headers are too large."},
	{500, "Internal Server Error", "The server could not read the file."},
	{501, "Not Implemented", "The request method is not supported."},
	{503, "Service Unavailable", "The server is overloaded."},
	{505, "HTTP Version Not Supported", "Only HTTP/1.1 and HTTP/1.0 are supported."},
};

static const struct status *find_status(int status)
{
	size_t at = 0;

	while (at + 1 < sizeof(statuses) / sizeof(statuses[0]) && statuses[at].status != status)
		at++;
	return &statuses[at];
}

const char *response_reason(int status)
{
	return find_status(status)->reason;
}

void response_write_explanation(struct text *text, int status, const char *explanation)
{
	const struct status *found = find_status(status);

	text_add_number(text, (uint64_t)status);
	text_add_character(text, ' ');
	text_add_string(text, found->reason);
	text_add_string(text, ". ");
	text_add_string(text, explanation != NULL ? explanation : found->explanation);
	text_add_character(text, '\n');
}

static void write_start(struct text *text, int status)
{
	text_add_string(text, "HTTP/1.1 ");
	text_add_number(text, (uint64_t)status);
	text_add_character(text, ' ');
	text_add_string(text, response_reason(status));
	text_add_string(text, "\r\nServer: sluice\r\nDate: ");
}

size_t response_date_offset(int status)
{
	char memory[128];
	struct text text = text_in(memory, sizeof(memory));

	write_start(&text, status);
	return text.length;
}

static void write_header(struct text *text, const char *name, struct span value)
{
	if (value.at == NULL)
		return;
	text_add_string(text, name);
	text_add(text, value);
	text_add_string(text, "\r\n");
}

void response_write_type(struct text *text, const struct media *media)
{
	if (media->type.at == NULL)
		return;
	text_add_string(text, "Content-Type: ");
	text_add(text, media->type);
	if (media->charset.at != NULL) {
		text_add_string(text, "; charset=");
		text_add(text, media->charset);
	}
	text_add_string(text, "\r\n");
}

void response_write_content_range(struct text *text, struct range range, uint64_t size)
{
	text_add_string(text, "Content-Range: bytes ");
	if (range.length > 0) {
		text_add_number(text, range.first);
		text_add_character(text, '-');
		text_add_number(text, range.first + range.length - 1);
	} else {
		text_add_character(text, '*');
	}
	text_add_character(text, '/');
	text_add_number(text, size);
	text_add_string(text, "\r\n");
}

static void write_location(struct text *text, const struct response_head *head)
{
	text_add_string(text, "Location: ");
	resolve_escape(text, head->location);
	text_add(text, head->query);
	text_add_string(text, "\r\n");
}

static void write_connection(struct text *text, enum response_connection connection)
{
	if (connection == RESPONSE_CONNECTION_CLOSE)
		text_add_string(text, "Connection: close\r\n");
	else if (connection == RESPONSE_CONNECTION_KEEP_ALIVE)
		text_add_string(text, "Connection: keep-alive\r\n");
}

void response_write_head(struct text *text, const struct response_head *head)
{
	write_start(text, head->status);
	text_add(text, (struct span){head->date, HTTPDATE_LENGTH});
	text_add_string(text, "\r\n");
	write_connection(text, head->connection);
	response_write_type(text, &head->media);
	write_header(text, "Content-Encoding: ", head->media.encoding);
	if (head->has_length) {
		text_add_string(text, "Content-Length: ");
		text_add_number(text, head->content_length);
		text_add_string(text, "\r\n");
	}
	write_header(text, "Last-Modified: ", head->last_modified);
	write_header(text, "ETag: ", head->etag);
	write_header(text, "Vary: ", head->vary);
	if (head->accepts_ranges)
		text_add_string(text, "Accept-Ranges: bytes\r\n");
	if (head->status == 206 && head->range.length > 0)
		response_write_content_range(text, head->range, head->size);
	else if (head->status == 416)
		response_write_content_range(text, (struct range){0, 0}, head->size);
	if (head->location.at != NULL)
		write_location(text, head);
	write_header(text, "Location: ", head->url);
	if (head->status == 405)
		text_add_string(text, "Allow: GET, HEAD\r\n");
	if (head->extra.length > 0)
		text_add(text, head->extra);
	if (head->status == 503)
		text_add_string(text, "Retry-After: 1\r\n");
	text_add_string(text, "\r\n");
}
