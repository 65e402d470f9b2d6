/* SPDX-License-Identifier: MIT */
/* Writes JSON, a value at a time; commas and indentation come by themselves. */
#ifndef SLUICE_BENCH_WRITER_H
#define SLUICE_BENCH_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *file;
	int depth;
	int values; /* in the innermost object or array so far: is a comma due? */
};

/* The key is NULL inside an array. */
void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);                 /* '}' or ']' */
void json_string(struct json *json, const char *key, const char *value);
void json_integer(struct json *json, const char *key, uint64_t value);
void json_number(struct json *json, const char *key, double value);
void json_numbers(struct json *json, const char *key, const double *values, size_t count);

#endif
