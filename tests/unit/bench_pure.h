/* SPDX-License-Identifier: MIT */
/* What the parts of bench_pure share. */
#ifndef BENCH_PURE_H
#define BENCH_PURE_H

#include "cases.h"
#include "harness/histogram.h"
#include "harness/interval.h"
#include "report/compare.h"
#include "report/json.h"
#include "report/page.h"
#include "report/words.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct result_peer *add_peer(struct result_scenario *scenario, const char *name);

/* Rounds in which every peer takes factor times 1 us for an operation, give or take the spread. */
void add_rounds(struct result_scenario *scenario, size_t rounds, const double *factors,
		double spread);

void make_scenario(struct result_scenario *scenario, const char *name, const double *factors,
		   double spread);

void free_scenario(struct result_scenario *scenario);

/* What write leaves in a file, as a string to be freed. */
char *written(const struct result *result, void (*write)(const struct result *, FILE *));

#endif
