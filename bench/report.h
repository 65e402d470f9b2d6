/* SPDX-License-Identifier: MIT */
/* What was measured: a table for people, every sample as JSON for everything else. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "conditions.h"
#include "pair.h"
#include "settings.h"
#include "suite.h"

struct report;

/* Prints the conditions and the head of the table. The arguments outlive the report. */
struct report *report_open(const struct suite *suite, const struct settings *settings,
			   const struct conditions *conditions);

/* Prints a line of the table. */
void report_pair(struct report *report, const struct scenario *scenario,
		 struct side *const sides[PAIR_SIDES], const struct pair_result *result);

/* Completes the JSON file, if there is one. */
void report_close(struct report *report);

#endif
