/* SPDX-License-Identifier: MIT */
#include "serve/escape.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/*
 * The length of the UTF-8 character at the start of the text; 0 if invalid: a stray byte, an
 * overlong form, a surrogate, or a value above U+10FFFF.
 */
static size_t utf8_length(struct span text)
{
	const unsigned char *at = (const unsigned char *)text.at;
	size_t length = at[0] < 0x80   ? 1
			: at[0] < 0xc2 ? 0
			: at[0] < 0xe0 ? 2
			: at[0] < 0xf0 ? 3
				       : 4;

	if (at[0] > 0xf4 || length > text.length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (!is_continuation(at[i]))
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return length;
}

/* Reads one character; an invalid byte is consumed and replaced. */
static struct span take_utf8(struct span *text)
{
	size_t length = utf8_length(*text);
	struct span taken = {text->at, length};

	if (length == 0)
		taken = span_of(REPLACEMENT);
	*text = span_from(*text, length > 0 ? length : 1);
	return taken;
}

void escape_html(struct buffer *buffer, struct span text)
{
	while (text.length > 0) {
		struct span taken = take_utf8(&text);

		switch (taken.at[0]) {
		case '&':
			buffer_add_string(buffer, "&amp;");
			break;
		case '<':
			buffer_add_string(buffer, "&lt;");
			break;
		case '>':
			buffer_add_string(buffer, "&gt;");
			break;
		case '"':
			buffer_add_string(buffer, "&quot;");
			break;
		case '\'':
			buffer_add_string(buffer, "&#39;");
			break;
		default:
			if ((unsigned char)taken.at[0] < 0x20 || taken.at[0] == 0x7f)
				taken = span_of(REPLACEMENT);
			buffer_add(buffer, taken);
		}
	}
}

void escape_json(struct buffer *buffer, struct span text)
{
	while (text.length > 0) {
		struct span taken = take_utf8(&text);
		unsigned char character = (unsigned char)taken.at[0];

		if (character == '"' || character == '\\') {
			buffer_add_character(buffer, '\\');
			buffer_add(buffer, taken);
		} else if (character < 0x20 || character == 0x7f) {
			buffer_add_format(buffer, "\\u%04x", character);
		} else {
			buffer_add(buffer, taken);
		}
	}
}

void escape_url(struct buffer *buffer, struct span path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/-._~";

	for (size_t i = 0; i < path.length; i++) {
		unsigned char character = (unsigned char)path.at[i];

		if (character != 0 && strchr(plain, character) != NULL) {
			buffer_add_character(buffer, (char)character);
			continue;
		}
		buffer_add_character(buffer, '%');
		buffer_add_character(buffer, "0123456789ABCDEF"[character >> 4]);
		buffer_add_character(buffer, "0123456789ABCDEF"[character & 15]);
	}
}
