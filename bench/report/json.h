/* SPDX-License-Identifier: MIT */
/* A result as JSON, and back. */
#ifndef BENCH_REPORT_JSON_H
#define BENCH_REPORT_JSON_H

#include <stdio.h>

#include "report/result.h"

/* Writes all of it, samples included. Whether the file took it is for the caller to ask. */
void result_write(const struct result *result, FILE *file);

/*
 * Reads what result_write wrote, and evaluates it. Returns NULL, or what is wrong, in words that are
 * valid until the next call; *result is then empty.
 */
const char *result_read(const char *text, size_t length, struct result *result);

#endif
