/* SPDX-License-Identifier: MIT */
/* A result as text. */
#ifndef SLUICE_COMMAND_BENCH_TABLE_H
#define SLUICE_COMMAND_BENCH_TABLE_H

#include "result.h"

void table_print_conditions(const struct result *result);
void table_print_scenario(const struct result_scenario *scenario);

/* What could not be measured, and the verdict. */
void table_print_end(const struct result *result);

#endif
