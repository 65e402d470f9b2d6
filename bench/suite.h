/* SPDX-License-Identifier: MIT */
/* What the programs of pairs have in common: receivers, measuring, printing. */
#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H

#include <stddef.h>
#include <stdint.h>

#include "side.h"

/* One line of the table: a load, the two that do it, and how they should compare. */
struct scenario {
	const char *name;  /* on the command line */
	const char *title; /* in the table */
	double aim;        /* ours / baseline, at most */
	side_create_fn *ours;
	side_create_fn *baseline;
	enum receiver_mode receiver;
	struct load load; /* receiver, file_fd and options are filled in by the suite */
};

struct suite {
	const char *name;
	const char *unit; /* what a load consists of: "record", "file" */
	const struct scenario *scenarios;
	size_t scenario_count;

	/* Where loads are files: makes one and answers its descriptor. */
	int (*make_file)(const char *directory, uint64_t bytes);
};

int suite_main(int argc, char **argv, const struct suite *suite);

#endif
