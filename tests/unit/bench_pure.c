/* SPDX-License-Identifier: MIT */
/* What bench makes of its measurements: intervals, comparisons, and histograms of times. */
#include "bench_pure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR(a, b) (fabs((a) - (b)) < 1e-9)

Test(bench_pure, an_interval_is_made_of_the_ranks_that_a_binomial_gives)
{
	/* count, wanted, samples cut off at each end, and what is left of certainty */
	static const struct {
		size_t count;
		double wanted;
		size_t cut;
		double confidence;
	} cases[] = {
		{1, 0.95, 0, 0},
		{5, 0.95, 0, 0.9375},
		{6, 0.95, 0, 0.96875},
		{9, 0.95, 1, 1 - 20 / 512.0},
		{10, 0.95, 1, 1 - 22 / 1024.0},
		{25, 0.95, 7, 1 - 2 * 726206 / 33554432.0},
		{25, 0.99, 5, 1 - 2 * 68406 / 33554432.0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		double samples[32];
		size_t count = cases[i].count;
		struct interval interval;

		for (size_t j = 0; j < count; j++)
			samples[j] = (double)(count - j); /* unsorted: count, ..., 1 */
		interval = interval_at(samples, count, cases[i].wanted);
		cr_expect(NEAR(interval.median, (double)(count + 1) / 2), "%zu", count);
		cr_expect(NEAR(interval.low, (double)(1 + cases[i].cut)), "%zu", count);
		cr_expect(NEAR(interval.high, (double)(count - cases[i].cut)), "%zu", count);
		cr_expect(fabs(interval.confidence - cases[i].confidence) < 1e-6, "%zu: %g", count,
			  interval.confidence);
	}
}

/* Numbers between 0 and 1 that are the same everywhere. */
static double noise(void)
{
	static unsigned long state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double)(state >> 33) / 2147483648.0;
}

struct result_peer *add_peer(struct result_scenario *scenario, const char *name)
{
	struct result_peer *peer = result_add_peer(scenario);

	snprintf(peer->name, sizeof(peer->name), "%s", name);
	snprintf(peer->title, sizeof(peer->title), "%s <&\"", name);
	peer->operations = 1000;
	peer->system_calls = -1;
	return peer;
}

void add_rounds(struct result_scenario *scenario, size_t rounds, const double *factors,
		double spread)
{
	for (size_t turn = 0; turn < rounds; turn++) {
		double machine = 1 + noise(); /* now fast, now slow, for all of them */

		for (size_t i = 0; i < scenario->peer_count; i++) {
			double ns =
				round(1e6 * factors[i] * machine * (1 + spread * (noise() - 0.5)));
			const struct result_sample sample = {
				.ns = {[METRIC_WALL] = ns, [METRIC_CPU] = round(ns / 2)}};

			result_add_sample(&scenario->peers[i], &sample);
		}
	}
}

void make_scenario(struct result_scenario *scenario, const char *name, const double *factors,
		   double spread)
{
	snprintf(scenario->name, sizeof(scenario->name), "%s", name);
	snprintf(scenario->title, sizeof(scenario->title), "the load %s", name);
	snprintf(scenario->unit, sizeof(scenario->unit), "record");
	snprintf(scenario->receiver, sizeof(scenario->receiver), "discards");
	scenario->judged = METRIC_BIT(METRIC_WALL) | METRIC_BIT(METRIC_CPU);
	add_peer(scenario, "sluice");
	add_peer(scenario, "send");
	add_peer(scenario, "sluice-epoll");
	add_rounds(scenario, 25, factors, spread);
	result_evaluate(scenario);
}

/* The library on the other backend is no peer to compare with. */
static void make_comparable(struct result_scenario *scenario, const double *factors, double spread)
{
	make_scenario(scenario, "x", factors, spread);
	snprintf(scenario->peers[2].name, sizeof(scenario->peers[2].name), "libuv");
}

void free_scenario(struct result_scenario *scenario)
{
	for (size_t i = 0; i < scenario->peer_count; i++)
		free(scenario->peers[i].samples);
	free(scenario->peers);
	free(scenario->missing.all);
}

Test(bench_pure, only_ratios_of_neighbours_count)
{
	struct result_scenario scenario = {0};
	static const double factors[] = {1, 4, 1};

	make_scenario(&scenario, "x", factors, 0.01);
	/* The machine doubles its time now and then: costs are wide, ratios are not. */
	cr_expect_gt(scenario.peers[0].cost[METRIC_WALL].high,
		     1.1 * scenario.peers[0].cost[METRIC_WALL].low);
	cr_expect_lt(fabs(scenario.peers[1].ratio[METRIC_WALL].median - 0.25), 0.005);
	cr_expect_lt(scenario.peers[1].ratio[METRIC_WALL].high, 0.255);
	cr_expect_lt(fabs(scenario.peers[1].ratio[METRIC_CPU].median - 0.25), 0.005);
	cr_expect_eq(scenario.peers[1].ratio[METRIC_P99].high, 0);
	free_scenario(&scenario);
}

Test(bench_pure, a_peer_with_fewer_rounds_than_ours_is_taken_out)
{
	struct result_scenario scenario = {0};
	static const double factors[] = {1, 2, 3};

	make_scenario(&scenario, "x", factors, 0);
	scenario.peers[1].count--;
	result_evaluate(&scenario);
	cr_assert_eq(scenario.peer_count, 2);
	cr_expect_str_eq(scenario.peers[1].name, "sluice-epoll");
	cr_expect(fabs(scenario.peers[1].ratio[METRIC_WALL].median - 1 / 3.0) < 1e-9);
	free_scenario(&scenario);
}

Test(bench_pure, a_slowdown_of_ten_percent_is_found_and_the_same_build_is_silent)
{
	/* ours before, ours after, the peers' factors after, the noise of a turn, what is found */
	static const struct {
		double before, after, send, epoll, spread;
		enum verdict verdict;
	} cases[] = {
		{1, 1, 2, 1, 0.00, VERDICT_SAME},
		{1, 1, 2, 1, 0.10, VERDICT_SAME},
		{1, 1, 2, 1, 0.50, VERDICT_SAME},
		{1, 1.10, 2, 1, 0.00, VERDICT_SLOWER},
		{1, 1.10, 2, 1, 0.05, VERDICT_SLOWER},
		{1, 1.03, 2, 1, 0.01, VERDICT_SAME},
		{1, 1.10, 2, 1, 1.50, VERDICT_SAME}, /* lost in the noise: nothing is claimed */
		{1.1, 1, 2, 1, 0.05, VERDICT_FASTER},
		/* One peer has become faster: that is not ours. */
		{1, 1, 1.8, 1, 0.01, VERDICT_SAME},
		/* In both, sluice is slower, which cannot be distinguished from a slowdown. */
		{1, 1, 1.8, 0.9, 0.01, VERDICT_SLOWER},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct result_scenario before = {0}, after = {0};
		const double was[] = {cases[i].before, 2, 1};
		const double is[] = {cases[i].after, cases[i].send, cases[i].epoll};
		struct change change;

		make_comparable(&before, was, cases[i].spread);
		make_comparable(&after, is, cases[i].spread);
		change = compare_scenario(&before, &after, METRIC_WALL);
		cr_expect_eq(change.verdict, cases[i].verdict, "case %zu: %d, factor %g", i,
			     change.verdict, change.factor);
		cr_expect_eq(change.peers, 2);
		free_scenario(&before);
		free_scenario(&after);
	}
}

Test(bench_pure, a_hundred_comparisons_of_the_same_build_are_silent)
{
	static const double factors[] = {1, 2, 1};

	for (int i = 0; i < 100; i++) {
		struct result_scenario before = {0}, after = {0};

		make_comparable(&before, factors, 0.2);
		make_comparable(&after, factors, 0.2);
		cr_expect_eq(compare_scenario(&before, &after, METRIC_WALL).verdict, VERDICT_SAME);
		free_scenario(&before);
		free_scenario(&after);
	}
}

/* So many scenarios, the factors of ours growing from one to the next by step. */
static void make_scenarios(struct result *result, size_t count, double first, double step,
			   double spread)
{
	for (size_t i = 0; i < count; i++) {
		const double factors[] = {first + step * (double)i, 2, 1};
		struct result_scenario *scenario = result_add_scenario(result);

		make_comparable(scenario, factors, spread);
		snprintf(scenario->name, sizeof(scenario->name), "x-%zu", i);
	}
}

Test(bench_pure, a_slowdown_that_each_scenario_hides_is_found_in_all_together, .alone = true)
{
	static const struct {
		size_t count;
		double first, step, spread;
		enum verdict verdict;
	} cases[] = {
		{20, 1, 0, 0, VERDICT_SAME},
		{20, 1, 0, 1, VERDICT_SAME},
		{20, 1.10, 0, 0.6, VERDICT_SLOWER},
		{8, 1.10, 0, 0.5, VERDICT_SLOWER},
		{7, 1.10, 0, 0, VERDICT_INCOMPARABLE}, /* too few */
		{20, 1.03, 0, 0, VERDICT_SAME},        /* too little */
		{20, 0.90, 0, 0.5, VERDICT_FASTER},
		{20, 0.81, 0.02, 0, VERDICT_SAME}, /* as many faster as slower */
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct result before = {0}, after = {0};
		struct change change;

		make_scenarios(&before, cases[i].count, 1, 0, cases[i].spread);
		make_scenarios(&after, cases[i].count, cases[i].first, cases[i].step,
			       cases[i].spread);
		/* In the noise of a scenario nothing is found. */
		if (cases[i].spread > 0.4)
			cr_expect_eq(compare_scenario(&before.scenarios[0], &after.scenarios[0],
						      METRIC_WALL)
					     .verdict,
				     VERDICT_SAME);
		change = compare_together(&before, &after);
		cr_expect_eq(change.verdict, cases[i].verdict, "case %zu: %d, factor %g", i,
			     change.verdict, change.factor);
		cr_expect_eq(change.peers, cases[i].count);
		result_free(&before);
		result_free(&after);
	}
}

Test(bench_pure, what_has_no_peer_in_common_is_not_compared)
{
	struct result_scenario before = {0}, after = {0};
	static const double factors[] = {1, 2, 1};

	make_scenario(&before, "x", factors, 0);
	make_scenario(&after, "x", factors, 0);
	for (size_t i = 1; i < before.peer_count; i++)
		before.peers[i].name[0] = '?';
	cr_expect_eq(compare_scenario(&before, &after, METRIC_WALL).verdict, VERDICT_INCOMPARABLE);
	cr_expect_eq(compare_scenario(&before, &after, METRIC_P99).verdict, VERDICT_INCOMPARABLE);
	free_scenario(&before);
	free_scenario(&after);
}

char *written(const struct result *result, void (*write)(const struct result *, FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	write(result, file);
	fclose(file);
	return text;
}

Test(bench_pure, an_aim_is_met_or_missed_by_whole_intervals_and_by_the_worst_of_its_metrics)
{
	static const struct {
		struct interval wall, cpu;
		enum outcome outcome;
		const char *words;
	} cases[] = {
		{{0.9, 0.8, 1.0, 0.95}, {0.9, 0.8, 1.0, 0.95}, OUTCOME_MET, "met"},
		{{0.9, 0.8, 1.0, 0.95}, {1.1, 0.9, 1.2, 0.95}, OUTCOME_CANNOT_TELL, "cannot tell"},
		{{0.9, 0.8, 1.0, 0.95}, {0.95, 0.4, 2.9, 0.95}, OUTCOME_CANNOT_TELL, "cannot tell"},
		{{1.1, 1.05, 1.2, 0.95}, {0.9, 0.8, 1.0, 0.95}, OUTCOME_MISSED, "missed by 0.1"},
		{{1.1, 1.05, 1.2, 0.95}, {0.95, 0.4, 2.9, 0.95}, OUTCOME_MISSED, "missed by 0.1"},
		/* Too few rounds for an interval. */
		{{0.9, 0.9, 0.9, 0}, {0.9, 0.8, 1.0, 0.95}, OUTCOME_CANNOT_TELL, "cannot tell"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct result_scenario scenario = {.judged = METRIC_BIT(METRIC_WALL) |
								   METRIC_BIT(METRIC_CPU)};
		struct result_peer peer = {.aim = 1};
		char words[64];

		peer.ratio[METRIC_WALL] = cases[i].wall;
		peer.ratio[METRIC_CPU] = cases[i].cpu;
		cr_expect_eq(result_outcome(&scenario, &peer), cases[i].outcome, "%zu", i);
		words_aim(words, sizeof(words), &scenario, &peer);
		cr_expect_str_eq(words, cases[i].words, "%zu: %s", i, words);
		peer.aim = 0;
		cr_expect_eq(result_outcome(&scenario, &peer), OUTCOME_NO_AIM);
	}
}

Test(bench_pure, a_load_beyond_the_cores_before_the_run_is_warned_of)
{
	static const struct {
		const char *load, *cpus;
		bool warned;
	} cases[] = {{"0.10", "2", false}, {"2.00", "2", false}, {"2.01", "2", true},
		     {"31.5", "2", true},  {"", "2", false},     {"9", "", false}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct result result = {0};
		char words[WORDS_MAX], *page;

		conditions_add(&result.conditions, "load_before", "%s", cases[i].load);
		conditions_add(&result.conditions, "cpus", "%s", cases[i].cpus);
		words_load(words, sizeof(words), &result);
		cr_expect_eq(strstr(words, "WARNING") != NULL, cases[i].warned, "%zu", i);
		page = written(&result, page_write);
		cr_expect_eq(strstr(page, "\"WARNING: the load") != NULL, cases[i].warned, "%zu",
			     i);
		free(page);
	}
}

Test(bench_pure, a_scenario_that_is_taken_out_leaves_the_others)
{
	static const double factors[] = {1, 2, 1};
	struct result result = {0};

	for (int i = 0; i < 5; i++)
		make_scenario(result_add_scenario(&result),
			      (const char *[]){"a", "b", "c", "d", "e"}[i], factors, 0);
	result_remove_scenario(&result, 1);
	result_remove_scenario(&result, 3);
	make_scenario(result_add_scenario(&result), "f", factors, 0);
	cr_assert_eq(result.scenario_count, 4);
	cr_expect_not_null(result_find(&result, "a"));
	cr_expect_null(result_find(&result, "b"));
	cr_expect_str_eq(result.scenarios[1].name, "c");
	cr_expect_str_eq(result.scenarios[2].name, "d");
	cr_expect_str_eq(result.scenarios[3].name, "f");
	result_free(&result);
}

Test(bench_pure, words_say_who_is_ahead_and_when_nobody_can_tell)
{
	static const struct {
		double send, epoll, spread;
		const char *words;
	} cases[] = {
		{2, 0.5, 0.01, "sluice <&\" is ahead of the other"},
		{1, 0.5, 0.01, "are level"},
		{0.5, 1, 0.01, "send <&\" is ahead"},
		{1, 1, 1.5, "the noise is too large"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct result_scenario scenario = {0};
		const double factors[] = {1, cases[i].send, cases[i].epoll};
		char words[WORDS_MAX];

		make_scenario(&scenario, "x", factors, cases[i].spread);
		words_scenario(words, sizeof(words), &scenario);
		cr_expect(strstr(words, cases[i].words), "%zu: %s", i, words);
		free_scenario(&scenario);
	}
}

/* The largest factor upwards: what falls before or behind it does not make it smaller. */
Test(bench_pure, growth_is_from_the_least_cost_to_a_later_one)
{
	static const struct {
		double x, ours, send;
	} points[] = {{10, 5, 5}, {64, 1, 2}, {1000, 1.5, 2}, {10000, 1.2, 5}};
	struct result result = {0};
	char words[WORDS_MAX];

	for (size_t i = 0; i < COUNT(points); i++) {
		struct result_scenario *scenario = result_add_scenario(&result);

		make_scenario(scenario, "x", (const double[]){points[i].ours, points[i].send, 1},
			      0);
		snprintf(scenario->family, sizeof(scenario->family), "sockets");
		scenario->x = points[i].x;
		for (size_t j = 0; j < 2; j++)
			scenario->peers[j].cost[METRIC_WALL].median = j == 0 ? points[i].ours
									     : points[i].send;
		words_growth(words, sizeof(words), &result);
		cr_expect_eq(*words == '\0', i == 0, "%s", words);
	}
	cr_expect_str_eq(words,
			 "From 10 to 10000 sockets a record costs sluice at most 1.50 times as "
			 "much, and send(2) 2.50 times, what caches do included.");
	result_free(&result);
}

Test(bench_pure, a_peer_without_its_background_is_no_competitor)
{
	cr_expect(result_is_foreign(&(struct result_peer){.name = "send"}));
	cr_expect(result_is_foreign(&(struct result_peer){.name = "loop"}));
	cr_expect_not(result_is_foreign(&(struct result_peer){.name = "send-alone"}));
	cr_expect_not(result_is_foreign(&(struct result_peer){.name = "sluice-epoll"}));
}

Test(bench_pure, a_histogram_knows_a_time_to_its_stated_error)
{
	static struct histogram histogram;
	static const uint64_t times[] = {0,           1,          127,
					 128,         129,        255,
					 256,         1000,       12345,
					 999999,      1 << 20,    123456789,
					 60000000000, 1ull << 40, (1ull << 41) - 1};

	for (size_t i = 0; i < COUNT(times); i++) {
		double known;

		histogram = (struct histogram){0};
		histogram_add(&histogram, times[i]);
		known = (double)histogram_percentile(&histogram, 50);
		cr_expect_geq(known, (double)times[i]);
		cr_expect_leq(known, (double)times[i] * (1 + HISTOGRAM_ERROR), "%g", known);
		cr_expect_eq(histogram_percentile(&histogram, 100),
			     histogram_percentile(&histogram, 0));
	}
}

Test(bench_pure, a_histogram_of_times_beyond_all_sense_does_not_break)
{
	static struct histogram histogram;

	cr_expect_eq(histogram_percentile(&histogram, 99), 0);
	histogram_add(&histogram, UINT64_MAX);
	histogram_add(&histogram, 1ull << 41);
	cr_expect_eq(histogram.buckets[HISTOGRAM_BUCKETS - 1], 2);
	cr_expect_gt(histogram_percentile(&histogram, 99), 1ull << 40);
}

Test(bench_pure, percentiles_are_those_of_the_sorted_times)
{
	static struct histogram odd, even, all;
	static const struct {
		double percent;
		double exact;
	} cases[] = {{0, 1},     {1, 100},     {50, 5000},  {90, 9000},
		     {99, 9900}, {99.9, 9990}, {100, 10000}};

	for (uint64_t i = 1; i <= 10000; i++)
		histogram_add(i % 2 ? &odd : &even, i * 1000);
	histogram_merge(&all, &odd);
	histogram_merge(&all, &even);
	cr_expect_eq(all.count, 10000);
	for (size_t i = 0; i < COUNT(cases); i++) {
		double known = (double)histogram_percentile(&all, cases[i].percent);

		cr_expect_geq(known, cases[i].exact * 1000);
		cr_expect_leq(known, cases[i].exact * 1000 * (1 + HISTOGRAM_ERROR), "%g %g",
			      cases[i].percent, known);
	}
}
