/* SPDX-License-Identifier: MIT */
/*
 * What a case can leave behind in its process, so that the next one may not run there: descriptors,
 * processes, threads, signals, limits, the environment, its rights and name spaces.
 */
#ifndef CASES_MARKS_H
#define CASES_MARKS_H

#include <stdbool.h>
#include <stdint.h>

enum mark {
	MARK_DESCRIPTORS,
	MARK_STATUS, /* threads, signals, rights, filters, file mode mask, locked memory */
	MARK_LIMITS,
	MARK_ENVIRONMENT,
	MARK_PLACE, /* the directory and the name spaces */
	MARKS,
};

/* A checksum of each. */
struct marks {
	uint64_t sums[MARKS];
};

/* False if /proc does not tell. */
bool marks_take(struct marks *marks);

/*
 * What changed after `before`, or NULL. What the kernel ends on its own, such as a thread that was
 * joined or a worker of a ring that was closed, is given a moment.
 */
const char *marks_changed(const struct marks *before);

#endif
