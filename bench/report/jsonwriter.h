/* SPDX-License-Identifier: MIT */
/* Writes JSON, one value at a time; commas and indentation are added automatically. */
#ifndef BENCH_REPORT_JSONWRITER_H
#define BENCH_REPORT_JSONWRITER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
	FILE *file;
	int depth;
	int values; /* in the innermost object or array: is a comma needed? */
};

/* The key is NULL inside an array. */
void json_writer_open(struct json_writer *writer, const char *key, char bracket); /* '{' or '[' */
void json_writer_close(struct json_writer *writer, char bracket);                 /* '}' or ']' */
void json_writer_string(struct json_writer *writer, const char *key, const char *value);
void json_writer_integer(struct json_writer *writer, const char *key, uint64_t value);
void json_writer_number(struct json_writer *writer, const char *key, double value);
void json_writer_numbers(struct json_writer *writer, const char *key, const double *values,
			 size_t count);

#endif
