/* SPDX-License-Identifier: MIT */
/* A result as JSON, and back. */
#ifndef BENCH_REPORT_JSON_H
#define BENCH_REPORT_JSON_H

#include <stdio.h>

#include "report/result.h"

/* Writes everything, samples included. The caller checks the file for errors. */
void result_write(const struct result *result, FILE *file);

/*
 * Reads what result_write wrote, and evaluates it. Returns NULL, or an error message that is valid
 * until the next call; *result is then empty.
 */
const char *result_read(const char *text, size_t length, struct result *result);

#endif
