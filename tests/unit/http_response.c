/* SPDX-License-Identifier: MIT */

#include <stdlib.h>

#include "cases.h"
#include "serve/mime.h"
#include "serve/response.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define START(status) "HTTP/1.1 " status "\r\nServer: sluice\r\nDate: " DATE "\r\n"

static char memory[2048];

static const char *write_head(const struct response_head *head)
{
	struct text text = text_in(memory, sizeof(memory) - 1);

	response_write_head(&text, head);
	cr_assert_not(text.overflowed);
	memory[text.length] = '\0';
	return memory;
}

Test(http_response, a_head_says_what_it_was_told)
{
	struct response_head whole = {
		.status = 200,
		.date = DATE,
		.media = {span_of("text/html"), span_of("utf-8"), span_of("gzip")},
		.etag = span_of("\"a\""),
		.last_modified = span_of(DATE),
		.accepts_ranges = true,
		.has_length = true,
		.content_length = 3000000000,
	};
	struct response_head part = {
		.status = 206,
		.date = DATE,
		.connection = RESPONSE_CONNECTION_KEEP_ALIVE,
		.has_length = true,
		.content_length = 2,
		.range = {8, 2},
		.size = 10,
	};
	struct response_head moved = {
		.status = 301,
		.date = DATE,
		.location = span_of("/a b\r\n\xc3\xa4?/"),
		.query = span_of("?x=%20"),
		.connection = RESPONSE_CONNECTION_CLOSE,
	};

	cr_expect_str_eq(write_head(&whole),
			 START("200 OK") "Content-Type: text/html; charset=utf-8\r\n"
					 "Content-Encoding: gzip\r\n"
					 "Content-Length: 3000000000\r\n"
					 "Last-Modified: " DATE "\r\nETag: \"a\"\r\n"
					 "Accept-Ranges: bytes\r\n\r\n");
	cr_expect_str_eq(write_head(&part),
			 START("206 Partial Content") "Connection: keep-alive\r\n"
						      "Content-Length: 2\r\n"
						      "Content-Range: bytes 8-9/10\r\n\r\n");
	cr_expect_str_eq(
		write_head(&moved),
		START("301 Moved Permanently") "Connection: close\r\n"
					       "Location: /a%20b%0D%0A%C3%A4%3F/?x=%20\r\n\r\n");
}

Test(http_response, errors_carry_what_they_must)
{
	struct response_head head = {.status = 416, .date = DATE, .size = 10};

	cr_expect_str_eq(write_head(&head),
			 START("416 Range Not Satisfiable") "Content-Range: bytes */10\r\n\r\n");
	head.status = 405;
	cr_expect_str_eq(write_head(&head),
			 START("405 Method Not Allowed") "Allow: GET, HEAD\r\n\r\n");
	head.status = 503;
	cr_expect_str_eq(write_head(&head),
			 START("503 Service Unavailable") "Retry-After: 1\r\n\r\n");
}

Test(http_response, every_status_of_ours_has_a_reason_and_an_explanation)
{
	static const int statuses[] = {301, 400, 403, 404, 405, 408, 412, 413,
				       414, 416, 431, 500, 501, 503, 505};

	for (size_t i = 0; i < COUNT(statuses); i++) {
		struct text text = text_in(memory, 160);
		struct response_head head = {.status = statuses[i], .date = DATE};

		response_write_explanation(&text, statuses[i], NULL);
		cr_expect_not(text.overflowed);
		cr_expect_eq(strtol(memory, NULL, 10), statuses[i]);
		write_head(&head);
		cr_expect_eq(memcmp(memory + response_date_offset(statuses[i]), DATE, 29), 0);
	}
}

Test(http_response, text_that_does_not_fit_is_left_out)
{
	struct text text = text_in(memory, 5);

	text_add_string(&text, "abc");
	text_add_string(&text, "def");
	text_add_number(&text, 42);
	cr_expect(text.overflowed);
	cr_expect_eq(text.length, 5);
	cr_expect_eq(memcmp(memory, "abc42", 5), 0);
	text = text_in(memory, sizeof(memory));
	text_add_number(&text, UINT64_MAX);
	text_add_hex(&text, UINT64_MAX);
	cr_expect_eq(memcmp(memory, "18446744073709551615ffffffffffffffff", text.length), 0);
}

Test(http_response, the_type_follows_the_extension)
{
	static const struct {
		const char *path, *type;
		bool has_charset, is_encoded;
	} cases[] = {
		{"/index.html", "text/html", true, false},
		{"/a/b.CSS", "text/css", true, false},
		{"/a.txt", "text/plain", true, false},
		{"/a.csv", "text/csv", true, false},
		{"/a.svg", "image/svg+xml"},
		{"/a.SVGZ", "image/svg+xml", false, true},
		{"/a.tar.gz", "application/gzip"},
		{"/a.png", "image/png"},
		{"/README", "application/octet-stream"},
		{"/a.unheard-of", "application/octet-stream"},
		{"/a.", "application/octet-stream"},
		{"/a.html/b", "application/octet-stream"},
		{"/a.0123456789012345678901234567890123456789", "application/octet-stream"},
	};
	static const char *const tables[] = {"/etc/mime.types", "/nowhere"};

	for (size_t table = 0; table < COUNT(tables); table++) {
		struct mime *mime = mime_load(tables[table], NULL, 0, "utf-8");

		cr_assert_not_null(mime);
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct media media = mime_media(mime, span_of(cases[i].path));

			cr_expect(span_equals(media.type, span_of(cases[i].type)), "%s is '%.*s'",
				  cases[i].path, (int)media.type.length, media.type.at);
			cr_expect_eq(media.charset.at != NULL, cases[i].has_charset, "%s",
				     cases[i].path);
			cr_expect_eq(media.encoding.at != NULL, cases[i].is_encoded, "%s",
				     cases[i].path);
		}
		mime_free(mime);
	}
}
