/* SPDX-License-Identifier: MIT */
/* The conditions of a measurement, without which a figure means nothing. */
#ifndef BENCH_HARNESS_CONDITIONS_H
#define BENCH_HARNESS_CONDITIONS_H

#include <stdint.h>

#include "harness/net.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_options;

/* A condition: its name in JSON, and its value. */
struct condition {
	char name[32];
	char value[640]; /* all capabilities by their names */
};

#define CONDITIONS_MAX 32

struct conditions {
	struct condition all[CONDITIONS_MAX];
	size_t count;
};

/* Adds one; those beyond the maximum are dropped. */
void conditions_add(struct conditions *conditions, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The value of one, or "". */
const char *conditions_value(const struct conditions *conditions, const char *name);

/* Machine, kernel, library, backend with its capabilities, and sockets as they answer. */
void conditions_collect(struct conditions *conditions, int sender_cpu,
			const struct sluice_options *options, const struct receiver *receiver);

#ifdef __cplusplus
}
#endif
#endif
