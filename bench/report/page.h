/* SPDX-License-Identifier: MIT */
/*
 * A result as one HTML page that loads nothing: report.html, with the result embedded as JSON. The
 * page's own script draws it.
 */
#ifndef BENCH_REPORT_PAGE_H
#define BENCH_REPORT_PAGE_H

#include <stdio.h>

#include "report/result.h"

/* The caller checks the file for errors. */
void page_write(const struct result *result, FILE *file);

#endif
