/* SPDX-License-Identifier: MIT */
#include "serve/multipart.h"

#include "serve/response.h"

static void write_boundary(struct text *text, const struct multipart *multipart)
{
	text_add_string(text, "sluice-");
	text_add_number(text, multipart->boundary);
}

void multipart_write_type(struct text *text, const struct multipart *multipart)
{
	text_add_string(text, "multipart/byteranges; boundary=");
	write_boundary(text, multipart);
}

void multipart_write_delimiter(struct text *text, const struct multipart *multipart, size_t part)
{
	text_add_string(text, "\r\n--");
	write_boundary(text, multipart);
	if (part == multipart->count) {
		text_add_string(text, "--\r\n");
		return;
	}
	text_add_string(text, "\r\n");
	response_write_type(text, &multipart->media);
	response_write_content_range(text, multipart->ranges[part], multipart->size);
	text_add_string(text, "\r\n");
}

size_t multipart_capacity(const struct multipart *multipart)
{
	/* Four numbers of 20 digits at most, and the fixed text. */
	return (multipart->count + 1) *
	       (192 + multipart->media.type.length + multipart->media.charset.length);
}
