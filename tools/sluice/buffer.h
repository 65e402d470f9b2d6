/* SPDX-License-Identifier: MIT */
/* Text of any length in growing memory; a failed allocation is remembered. */
#ifndef SLUICE_COMMAND_BUFFER_H
#define SLUICE_COMMAND_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct buffer {
	char *base; /* from malloc; not terminated */
	size_t length;
	size_t capacity;
	bool failed; /* out of memory: text added since is missing */
};

void buffer_add(struct buffer *buffer, struct span span);
void buffer_add_string(struct buffer *buffer, const char *string);
void buffer_add_character(struct buffer *buffer, char character);
void buffer_add_format(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void buffer_dispose(struct buffer *buffer);

#endif
