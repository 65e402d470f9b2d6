/* SPDX-License-Identifier: MIT */
#include "serve/multipart.h"

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
	const struct media *media = &multipart->media;

	text_add_string(text, "\r\n--");
	write_boundary(text, multipart);
	if (part == multipart->count) {
		text_add_string(text, "--\r\n");
		return;
	}
	text_add_string(text, "\r\n");
	if (media->type.at != NULL) {
		text_add_string(text, "Content-Type: ");
		text_add(text, media->type);
		if (media->charset.at != NULL) {
			text_add_string(text, "; charset=");
			text_add(text, media->charset);
		}
		text_add_string(text, "\r\n");
	}
	text_add_string(text, "Content-Range: bytes ");
	text_add_number(text, multipart->ranges[part].first);
	text_add_character(text, '-');
	text_add_number(text, multipart->ranges[part].first + multipart->ranges[part].length - 1);
	text_add_character(text, '/');
	text_add_number(text, multipart->size);
	text_add_string(text, "\r\n\r\n");
}

size_t multipart_capacity(const struct multipart *multipart)
{
	/* Four numbers of 20 digits at most, and the fixed text. */
	return (multipart->count + 1) *
	       (192 + multipart->media.type.length + multipart->media.charset.length);
}
