/* SPDX-License-Identifier: MIT */
#include "report/compare.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/words.h"

/* The ratio's interval with the confidence used in comparisons. */
static struct interval ratio_of(const struct result_scenario *scenario,
				const struct result_peer *peer, enum metric metric)
{
	const struct result_peer *ours = &scenario->peers[0];
	double scale = metric_is_latency(metric) ? 1 : peer->operations / ours->operations;
	double *ratios = calloc(peer->count, sizeof(*ratios));
	struct interval interval = {0};
	size_t count = 0;

	if (ratios == NULL)
		err(1, "out of memory");
	for (size_t i = 0; i < peer->count; i++) {
		double theirs = peer->samples[i].ns[metric];
		double mine = ours->samples[i].ns[metric];

		if (theirs > 0 && mine > 0)
			ratios[count++] = mine / theirs * scale;
	}
	if (count > 0)
		interval = interval_at(ratios, count, COMPARE_CONFIDENCE);
	free(ratios);
	return interval;
}

static enum verdict judge(const struct interval *before, const struct interval *after)
{
	double factor = after->median / before->median;

	if (after->low > before->high && factor >= 1 + COMPARE_LEAST)
		return VERDICT_SLOWER;
	if (after->high < before->low && factor <= 1 / (1 + COMPARE_LEAST))
		return VERDICT_FASTER;
	return VERDICT_SAME;
}

struct change compare_scenario(const struct result_scenario *before,
			       const struct result_scenario *after, enum metric metric)
{
	struct change change = {VERDICT_INCOMPARABLE, 1, 0, 0};
	size_t slower = 0, faster = 0;
	double *factors = calloc(after->peer_count + 1, sizeof(*factors));

	if (factors == NULL)
		err(1, "out of memory");
	for (size_t i = 1; i < after->peer_count; i++) {
		const struct result_peer *peer = &after->peers[i];
		const struct result_peer *old = result_find_peer(before, peer->name);
		struct interval was, is;

		/* What slows sluice down also slows it down on the other backend. */
		if (old == NULL || !result_is_foreign(peer))
			continue;
		was = ratio_of(before, old, metric);
		is = ratio_of(after, peer, metric);
		if (was.median <= 0 || is.median <= 0)
			continue;
		slower += judge(&was, &is) == VERDICT_SLOWER;
		faster += judge(&was, &is) == VERDICT_FASTER;
		factors[change.peers++] = is.median / was.median;
	}
	if (change.peers > 0) {
		change.verdict = 2 * slower > change.peers   ? VERDICT_SLOWER
				 : 2 * faster > change.peers ? VERDICT_FASTER
							     : VERDICT_SAME;
		change.agree = change.verdict == VERDICT_SLOWER ? slower : faster;
		change.factor = interval_of(factors, change.peers).median;
	}
	free(factors);
	return change;
}

struct change compare_together(const struct result *before, const struct result *after)
{
	struct change change = {VERDICT_INCOMPARABLE, 1, 0, 0};
	double *factors = calloc(after->scenario_count + 1, sizeof(*factors));

	if (factors == NULL)
		err(1, "out of memory");
	for (size_t i = 0; i < after->scenario_count; i++) {
		const struct result_scenario *is = &after->scenarios[i];
		const struct result_scenario *was = result_find(before, is->name);
		struct change its = {VERDICT_INCOMPARABLE, 1, 0, 0};

		if (was != NULL)
			its = compare_scenario(was, is, is->headline);
		if (its.peers > 0)
			factors[change.peers++] = its.factor;
	}
	if (change.peers >= COMPARE_TOGETHER) {
		const struct interval before_all = {.median = 1, .low = 1, .high = 1};
		struct interval all = interval_at(factors, change.peers, COMPARE_CONFIDENCE);

		change.verdict = judge(&before_all, &all);
		change.factor = all.median;
	}
	free(factors);
	return change;
}

/* Differences that make the runs hard to compare are reported; they are compared nevertheless. */
static void print_differences(const struct result *before, const struct result *after)
{
	static const char *const names[] = {"cpu",   "kernel",     "machine", "backend",
					    "build", "congestion", "nodelay", "capabilities"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *was = conditions_value(&before->conditions, names[i]);
		const char *is = conditions_value(&after->conditions, names[i]);

		if (strcmp(was, is) != 0)
			printf("  %s differs: it was %s, it is %s\n", names[i], was, is);
	}
}

static bool print_change(const struct result_scenario *before, const struct result_scenario *after,
			 enum metric metric)
{
	struct change change = compare_scenario(before, after, metric);

	if (change.verdict != VERDICT_SLOWER && change.verdict != VERDICT_FASTER)
		return false;
	printf("  %-20s %s: ours takes %.2f times the %s it took, against %zu of %zu peers\n",
	       after->name, change.verdict == VERDICT_SLOWER ? "SLOWER" : "faster", change.factor,
	       words_metric(metric), change.agree, change.peers);
	return change.verdict == VERDICT_SLOWER;
}

static bool print_together(const struct result *before, const struct result *after)
{
	struct change change = compare_together(before, after);

	if (change.verdict == VERDICT_INCOMPARABLE)
		return false;
	printf("  All together: ours takes %.3f times what it took%s.\n", change.factor,
	       change.verdict == VERDICT_SLOWER   ? ", it is SLOWER"
	       : change.verdict == VERDICT_FASTER ? ", it is faster"
						  : "");
	return change.verdict == VERDICT_SLOWER;
}

/* Compares a scenario that both runs have; whether it has become slower. */
static bool print_changes(const struct result_scenario *was, const struct result_scenario *is)
{
	bool is_slower = false;

	for (int metric = 0; metric < METRICS; metric++) {
		if (((is->judged | METRIC_BIT(is->headline)) & METRIC_BIT(metric)) &&
		    print_change(was, is, (enum metric)metric))
			is_slower = true;
	}
	return is_slower;
}

bool compare_print(const struct result *before, const struct result *after)
{
	size_t slower = 0, compared = 0, lost = 0;

	printf("Compared with the run of %s:\n", conditions_value(&before->conditions, "date"));
	print_differences(before, after);
	for (size_t i = 0; i < before->scenario_count; i++) {
		const struct result_scenario *was = &before->scenarios[i];
		const struct result_scenario *is = result_find(after, was->name);

		if (is == NULL || compare_scenario(was, is, is->headline).peers == 0) {
			printf("  %-20s MISSING: %s\n", was->name,
			       is == NULL ? "it was measured before"
					  : "no peer that both runs have");
			lost++;
			continue;
		}
		compared++;
		slower += print_changes(was, is);
	}
	printf("  %zu scenario%s compared, %zu slower, %zu missing.\n", compared,
	       compared == 1 ? "" : "s", slower, lost);
	return !print_together(before, after) && slower == 0 && lost == 0 && compared > 0;
}
