/* SPDX-License-Identifier: MIT */
/* A result as text. */
#ifndef BENCH_REPORT_TABLE_H
#define BENCH_REPORT_TABLE_H

#include "report/result.h"

void table_print_conditions(const struct result *result);
void table_print_scenario(const struct result_scenario *scenario);

/* What could not be measured, and the verdict. */
void table_print_end(const struct result *result);

#endif
