/* SPDX-License-Identifier: MIT */
/*
 * Two results compared: has ours become slower? Times of two runs tell nothing, ratios against the
 * same peers do. A change counts when
 *
 * - the 99 % intervals of the ratio before and after do not touch, so that the noise of neither run
 *   explains it, and
 * - the medians differ by 5 % or more, which is beyond what new sockets and another day do, and
 * - it shows against more than half of the peers that both runs have, this library in other ways
 *   not counted: else it is the peer's.
 *
 * A small change everywhere may be lost in the noise of each scenario, but not in that of all: it
 * counts, too, when the 99 % interval of the factors of all scenarios does not hold 1, and their
 * median differs by 5 % or more.
 *
 * Pure.
 */
#ifndef BENCH_REPORT_COMPARE_H
#define BENCH_REPORT_COMPARE_H

#include "report/result.h"

#define COMPARE_CONFIDENCE 0.99
#define COMPARE_LEAST 0.05
#define COMPARE_TOGETHER 8 /* scenarios; the median of fewer means nothing */

enum verdict {
	VERDICT_FASTER = -1,
	VERDICT_SAME = 0,
	VERDICT_SLOWER = 1,
	VERDICT_INCOMPARABLE = 2 /* no peer in both, or no figures */
};

struct change {
	enum verdict verdict;
	double factor; /* new / old, of sluice against the peers; the median of theirs */
	size_t peers;  /* peers that were compared; for the total: scenarios */
	size_t agree;  /* of them, with the same verdict; for the total: 0 */
};

struct change compare_scenario(const struct result_scenario *before,
			       const struct result_scenario *after, enum metric metric);

/* All scenarios in both results, by their headline metrics. */
struct change compare_together(const struct result *before, const struct result *after);

/*
 * Prints the changes. True if everything measured before could be compared, and nothing has become
 * slower, neither a scenario nor all of them together.
 */
bool compare_print(const struct result *before, const struct result *after);

#endif
