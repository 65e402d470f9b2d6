/* SPDX-License-Identifier: MIT */
/* Under which conditions something was measured: a figure without them says nothing. */
#ifndef BENCH_CONDITIONS_H
#define BENCH_CONDITIONS_H

#include <stdint.h>

#include "net.h"
#include "settings.h"

struct conditions {
	char date[32];
	char kernel[128];
	char cpu[128];
	long cpus;
	double load; /* of the machine in the last minute */
	int sender_cpu;
	int receiver_cpu;
	const char *build; /* "release", or what is wrong with it */
	const char *liburing;
	const char *sluice;
	char backend[16];
	char backend_reason[160];
	char capabilities[256]; /* that the engine uses, with spaces between */

	/* As a socket of the benchmark answers them. */
	char congestion[16];
	int nodelay;
	int send_buffer_bytes;
	int receive_buffer_bytes;
};

void conditions_collect(struct conditions *conditions, const struct settings *settings,
			const struct receiver *receiver);

#endif
