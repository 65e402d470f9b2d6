/* SPDX-License-Identifier: MIT */
/* Writes text into memory of a fixed size; overflow is discarded and remembered. */
#ifndef SLUICE_COMMAND_TEXT_H
#define SLUICE_COMMAND_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct text {
	char *base;
	size_t length;
	size_t capacity;
	bool overflowed;
};

static inline struct text text_in(char *base, size_t capacity)
{
	return (struct text){.base = base, .capacity = capacity};
}

void text_add(struct text *text, struct span span);
void text_add_string(struct text *text, const char *string);
void text_add_character(struct text *text, char character);
void text_add_number(struct text *text, uint64_t number);
void text_add_hex(struct text *text, uint64_t number);

/* The value of a hexadecimal digit, or -1. */
int text_hex_value(char character);

#endif
