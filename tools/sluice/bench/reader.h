/* SPDX-License-Identifier: MIT */
/*
 * Reads JSON into a tree. Strict: what RFC 8259 does not allow is an error. Small: all text is in
 * memory, and is changed; depth is bounded; numbers are doubles. Pure: no kernel.
 */
#ifndef SLUICE_BENCH_READER_H
#define SLUICE_BENCH_READER_H

#include <stdbool.h>
#include <stddef.h>

#define READER_DEPTH_MAX 32

enum reader_type {
	READER_NULL,
	READER_BOOLEAN,
	READER_NUMBER,
	READER_STRING,
	READER_ARRAY,
	READER_OBJECT
};

struct reader_value {
	enum reader_type type;
	double number; /* of a boolean 0 or 1 */
	const char *string;
	const char *key;            /* in an object */
	struct reader_value *first; /* of an array or an object */
	struct reader_value *next;  /* beside this one */
};

struct reader {
	struct reader_value *root;
	void *blocks;      /* what the values are allocated from */
	const char *error; /* what was wrong, if there is no root */
	size_t line;       /* and in which line */
};

/* Reads all of text, which ends with 0, and keeps pointing into it. Whether it could be read. */
bool reader_read(struct reader *reader, char *text);

void reader_free(struct reader *reader);

/* What an object has under that key; NULL where it is no object, or has none. */
const struct reader_value *reader_get(const struct reader_value *object, const char *key);

/* The same, for one type; what is missing or of another type is the fallback. */
double reader_number(const struct reader_value *object, const char *key, double fallback);
const char *reader_string(const struct reader_value *object, const char *key, const char *fallback);

/* The first element of the array or object under that key, or NULL. */
const struct reader_value *reader_first(const struct reader_value *object, const char *key);

#endif
