/* SPDX-License-Identifier: MIT */
#include "text.h"

void text_add(struct text *text, struct span span)
{
	if (span.length > text->capacity - text->length) {
		text->overflowed = true;
		return;
	}
	memcpy(text->base + text->length, span.at, span.length);
	text->length += span.length;
}

void text_add_string(struct text *text, const char *string)
{
	text_add(text, span_of(string));
}

void text_add_character(struct text *text, char character)
{
	text_add(text, (struct span){&character, 1});
}

static void add_digits(struct text *text, uint64_t number, unsigned int base)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number > 0);
	text_add(text, (struct span){digits + at, sizeof(digits) - at});
}

void text_add_number(struct text *text, uint64_t number)
{
	add_digits(text, number, 10);
}

void text_add_hex(struct text *text, uint64_t number)
{
	add_digits(text, number, 16);
}

int text_hex_value(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return -1;
}
