/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 4096

/* Reserves memory for more bytes; false: out of memory. */
static bool buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_BYTES;
	char *larger;

	if (buffer->failed)
		return false;
	if (buffer->capacity - buffer->length >= more)
		return true;
	while (capacity - buffer->length < more)
		capacity *= 2;
	larger = realloc(buffer->base, capacity);
	if (larger == NULL) {
		buffer->failed = true;
		return false;
	}
	buffer->base = larger;
	buffer->capacity = capacity;
	return true;
}

void buffer_add(struct buffer *buffer, struct span span)
{
	if (span.length == 0 || !buffer_reserve(buffer, span.length))
		return;
	memcpy(buffer->base + buffer->length, span.at, span.length);
	buffer->length += span.length;
}

void buffer_add_string(struct buffer *buffer, const char *string)
{
	buffer_add(buffer, span_of(string));
}

void buffer_add_character(struct buffer *buffer, char character)
{
	buffer_add(buffer, (struct span){&character, 1});
}

void buffer_add_format(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	char small[256];
	int length;

	va_start(arguments, format);
	length = vsnprintf(small, sizeof(small), format, arguments);
	va_end(arguments);
	if (length < (int)sizeof(small)) {
		buffer_add(buffer, (struct span){small, length > 0 ? (size_t)length : 0});
		return;
	}
	if (!buffer_reserve(buffer, (size_t)length + 1))
		return;
	va_start(arguments, format);
	vsnprintf(buffer->base + buffer->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	buffer->length += (size_t)length;
}

void buffer_dispose(struct buffer *buffer)
{
	free(buffer->base);
	*buffer = (struct buffer){0};
}
