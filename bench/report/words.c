/* SPDX-License-Identifier: MIT */
#include "report/words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void words_append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

void words_time(char *text, size_t size, double ns)
{
	static const struct {
		double least;
		const char *unit;
	} units[] = {{1e9, "s"}, {1e6, "ms"}, {1e4, "us"}, {0, "ns"}};
	static const double scales[] = {1e9, 1e6, 1e3, 1};
	size_t i = 0;
	double value;

	while (ns < units[i].least)
		i++;
	value = ns / scales[i];
	snprintf(text, size, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, units[i].unit);
}

void words_ratio(char *text, size_t size, double ratio)
{
	snprintf(text, size, "%.*f", ratio < 0.1 ? 4 : ratio < 10 ? 3 : ratio < 100 ? 1 : 0, ratio);
}

const char *words_metric(enum metric metric)
{
	static const char *const words[METRICS] = {"time", "CPU time", "p99 latency",
						   "p99.9 latency"};

	return words[metric];
}

void words_headline(char *text, size_t size, const struct result_scenario *scenario)
{
	const char *metric = words_metric(scenario->headline), *unit = scenario->unit;

	if (metric_is_latency(scenario->headline))
		snprintf(text, size, "%s", metric);
	else
		snprintf(text, size, "%s %s %s", metric,
			 *unit && strchr("aeiou", *unit) ? "an" : "a", unit);
}

int words_order(const struct interval *ratio)
{
	/* Too few rounds for a result. */
	if (ratio->confidence < RESULT_CONFIDENCE)
		return 0;
	if (ratio->high < 1 && ratio->median < 1 - WORDS_LEVEL)
		return -1;
	if (ratio->low > 1 && ratio->median > 1 + WORDS_LEVEL)
		return 1;
	return 0;
}

/* An interval that could hide any relevant difference. */
static bool is_noisy(const struct interval *ratio)
{
	return ratio->high > 1.2 * ratio->low || ratio->confidence < RESULT_CONFIDENCE;
}

static const struct interval *headline(const struct result_scenario *scenario,
				       const struct result_peer *peer)
{
	return &peer->ratio[scenario->headline];
}

static size_t count_competitors(const struct result_scenario *scenario)
{
	size_t count = 0;

	for (size_t i = 1; i < scenario->peer_count; i++)
		count += result_is_foreign(&scenario->peers[i]);
	return count;
}

/* The strongest competitor, or NULL; one of ours if there is no other. */
static const struct result_peer *best_other(const struct result_scenario *scenario)
{
	bool any = count_competitors(scenario) == 0;
	const struct result_peer *best = NULL;

	for (size_t i = 1; i < scenario->peer_count; i++) {
		const struct result_peer *peer = &scenario->peers[i];

		if (!any && !result_is_foreign(peer))
			continue;
		if (best == NULL ||
		    headline(scenario, peer)->median > headline(scenario, best)->median)
			best = peer;
	}
	return best;
}

static size_t count_order(const struct result_scenario *scenario, int order)
{
	size_t count = 0;

	for (size_t i = 1; i < scenario->peer_count; i++)
		count += result_is_foreign(&scenario->peers[i]) &&
			 words_order(headline(scenario, &scenario->peers[i])) == order;
	return count;
}

void words_scenario(char *text, size_t size, const struct result_scenario *scenario)
{
	const struct result_peer *best = best_other(scenario);
	const char *metric = words_metric(scenario->headline);
	char ratio[32];
	double median;
	int order;

	text[0] = '\0';
	if (best == NULL)
		return;
	median = headline(scenario, best)->median;
	order = words_order(headline(scenario, best));
	words_ratio(ratio, sizeof(ratio), order < 0 ? 1 / median : median);
	if (order < 0)
		words_append(text, size, "%s is ahead of %s; %s takes %s times its %s",
			     scenario->peers[0].title,
			     count_competitors(scenario) > 1 ? "all others" : "the other",
			     best->title, ratio, metric);
	else if (order == 0 && is_noisy(headline(scenario, best)))
		words_append(text, size,
			     "the noise is too large to tell %s from %s (%s times the %s)",
			     scenario->peers[0].title, best->title, ratio, metric);
	else if (order == 0)
		words_append(text, size, "%s and %s are level (%s times the %s)",
			     scenario->peers[0].title, best->title, ratio, metric);
	else
		words_append(text, size, "%s is ahead: %s takes %s times its %s", best->title,
			     scenario->peers[0].title, ratio, metric);
	if (order >= 0 && count_competitors(scenario) > 1)
		words_append(text, size, "; of the %zu others, ours is ahead of %zu and behind %zu",
			     count_competitors(scenario), count_order(scenario, -1),
			     count_order(scenario, 1));
	words_append(text, size, ".");
}

/* The peer of these kinds with the best ratio, or NULL. */
static const struct result_peer *best_of_kinds(const struct result_scenario *scenario,
					       unsigned kinds, enum metric metric)
{
	const struct result_peer *best = NULL;

	for (size_t i = 1; i < scenario->peer_count; i++) {
		const struct result_peer *peer = &scenario->peers[i];

		if (!(kinds & 1u << result_kind(peer)) || peer->ratio[metric].high <= 0)
			continue;
		if (best == NULL || peer->ratio[metric].median > best->ratio[metric].median)
			best = peer;
	}
	return best;
}

/* Comparisons with the best peer of some kinds, one a scenario. */
struct tally {
	size_t all, ahead, near, slower, noisy;
	char names[256]; /* the slower scenarios with their ratios, worst first */
	double worst;
	const char *worst_name;
};

static void tally_names(struct tally *tally, const struct result *result, unsigned kinds,
			double limit)
{
	double below = INFINITY;

	/* Few enough for a selection sort. */
	for (size_t n = 0; n < tally->slower && n < 6; n++) {
		const char *name = NULL;
		double worst = 0;

		for (size_t i = 0; i < result->scenario_count; i++) {
			const struct result_scenario *scenario = &result->scenarios[i];
			const struct result_peer *peer =
				best_of_kinds(scenario, kinds, scenario->headline);
			double ratio = peer != NULL ? headline(scenario, peer)->median : 0;

			if (peer == NULL || words_order(headline(scenario, peer)) <= 0 ||
			    ratio <= limit || ratio >= below || ratio <= worst)
				continue;
			worst = ratio;
			name = scenario->name;
		}
		if (name == NULL)
			return;
		words_append(tally->names, sizeof(tally->names), "%s%s %.2f", n > 0 ? ", " : "",
			     name, worst);
		below = worst;
	}
	if (tally->slower > 6)
		words_append(tally->names, sizeof(tally->names), ", ...");
}

/* limit: ratio up to which a slower median counts as near. */
static struct tally count_against(const struct result *result, unsigned kinds, double limit)
{
	struct tally tally = {0};

	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_scenario *scenario = &result->scenarios[i];
		const struct result_peer *peer = best_of_kinds(scenario, kinds, scenario->headline);
		const struct interval *ratio;
		int order;

		if (peer == NULL)
			continue;
		ratio = headline(scenario, peer);
		order = words_order(ratio);
		tally.all++;
		if (order < 0)
			tally.ahead++;
		else if (order == 0 && is_noisy(ratio))
			tally.noisy++;
		else if (order > 0 && ratio->median > limit)
			tally.slower++;
		else
			tally.near++;
	}
	tally_names(&tally, result, kinds, limit);
	return tally;
}

static void append_tally_end(char *text, size_t size, const struct tally *tally)
{
	if (tally->slower > 0)
		words_append(text, size, ", slower in %zu (%s)", tally->slower, tally->names);
	else
		words_append(text, size, ", slower in none");
	if (tally->noisy > 0)
		words_append(text, size, "; too noisy to tell in %zu", tally->noisy);
	words_append(text, size, ". ");
}

/* "libuv, Asio and .NET", of the kind's peers that were measured. */
static void append_measured(char *text, size_t size, const struct result *result, enum kind kind)
{
	static const struct {
		const char *prefix, *title;
	} all[] = {{"libuv", "libuv"}, {"asio", "Asio"},         {"dotnet", ".NET"},
		   {"nginx", "nginx"}, {"lighttpd", "lighttpd"}, {"kestrel", "Kestrel"}};
	const char *found[sizeof(all) / sizeof(all[0])];
	size_t count = 0;

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		bool here = false;

		for (size_t i = 0; i < result->scenario_count && !here; i++) {
			const struct result_scenario *scenario = &result->scenarios[i];

			for (size_t j = 1; j < scenario->peer_count && !here; j++)
				here = result_kind(&scenario->peers[j]) == kind &&
				       strncmp(scenario->peers[j].name, all[k].prefix,
					       strlen(all[k].prefix)) == 0;
		}
		if (here)
			found[count++] = all[k].title;
	}
	for (size_t i = 0; i < count; i++)
		words_append(text, size, "%s%s",
			     i == 0          ? ""
			     : i + 1 < count ? ", "
					     : " and ",
			     found[i]);
}

void words_libraries(char *text, size_t size, const struct result *result)
{
	static const enum kind kinds[] = {KIND_LIBRARY, KIND_SERVER};

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct tally tally = count_against(result, 1u << kinds[i], 1);

		if (tally.all == 0)
			continue;
		words_append(text, size, "Against ");
		append_measured(text, size, result, kinds[i]);
		words_append(text, size, ": ahead in %zu of %zu, level in %zu", tally.ahead,
			     tally.all, tally.near);
		append_tally_end(text, size, &tally);
	}
}

void words_hand(char *text, size_t size, const struct result *result)
{
	struct tally tally = count_against(result, 1u << KIND_HAND, 1.05);

	text[0] = '\0';
	if (tally.all == 0)
		return;
	words_append(text, size,
		     "Against the best hand-written code: ahead in %zu of %zu, within 5 %% in %zu",
		     tally.ahead, tally.all, tally.near);
	append_tally_end(text, size, &tally);
}

/* The comparison with the best of these kinds at a percentile of all answers; 0: unknown. */
static double tail_ratio(const struct result_scenario *scenario, unsigned kinds, double percent)
{
	double best = 0;

	for (size_t i = 1; i < scenario->peer_count; i++) {
		const struct result_peer *peer = &scenario->peers[i];
		double its = result_latency(peer, percent);

		if ((kinds & 1u << result_kind(peer)) && its > 0)
			best = fmax(best, result_latency(&scenario->peers[0], percent) / its);
	}
	return best;
}

/* One answer in 10,000 is too rare for a turn: it has no medians and intervals. */
static void append_tails(char *text, size_t size, const struct result *result, unsigned kinds)
{
	bool any = false;

	for (size_t i = 0; i < result->scenario_count; i++) {
		double ratio = tail_ratio(&result->scenarios[i], kinds, 99.99);

		if (ratio <= 0)
			continue;
		words_append(text, size, "%s%s %.2f",
			     any ? ", " : "; p99.99 latency, of all rounds together: ",
			     result->scenarios[i].name, ratio);
		any = true;
	}
}

void words_latency(char *text, size_t size, const struct result *result)
{
	static const enum metric metrics[] = {METRIC_P99, METRIC_P999};
	unsigned kinds = 1u << KIND_HAND | 1u << KIND_LIBRARY;

	text[0] = '\0';
	for (size_t m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
		char ratios[192] = "";

		for (size_t i = 0; i < result->scenario_count; i++) {
			const struct result_scenario *scenario = &result->scenarios[i];
			const struct result_peer *peer = best_of_kinds(scenario, kinds, metrics[m]);

			if (peer != NULL)
				words_append(ratios, sizeof(ratios), "%s%s %.2f",
					     *ratios ? ", " : "", scenario->name,
					     peer->ratio[metrics[m]].median);
		}
		if (*ratios)
			words_append(text, size, "%s %s",
				     *text ? ";" : "Latency against the best other,",
				     words_metric(metrics[m]));
		if (*ratios)
			words_append(text, size, ": %s", ratios);
	}
	if (*text) {
		append_tails(text, size, result, kinds);
		words_append(text, size, ".");
	}
}

/* The scenarios of a family, from one x to another, that have both peers. */
struct growth {
	size_t count;
	double from, to;
	double ours, its; /* by what factor the cost grows at most */
};

static double grow(double growth, double *least, double cost)
{
	*least = *least > 0 ? fmin(*least, cost) : cost;
	return fmax(growth, cost / *least);
}

static struct growth growth_of(const struct result *result, const char *family, double from,
			       const char *peer)
{
	struct growth growth = {.ours = 1, .its = 1};
	double least = 0, its_least = 0;

	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_scenario *scenario = &result->scenarios[i];
		const struct result_peer *other = result_find_peer(scenario, peer);

		if (strcmp(scenario->family, family) != 0 || scenario->x < from || other == NULL)
			continue;
		if (growth.count++ == 0)
			growth.from = scenario->x;
		growth.to = scenario->x;
		growth.ours = grow(growth.ours, &least,
				   scenario->peers[0].cost[scenario->headline].median);
		growth.its = grow(growth.its, &its_least, other->cost[scenario->headline].median);
	}
	return growth;
}

void words_growth(char *text, size_t size, const struct result *result)
{
	/* Batches start where gathering does; their saving is not growth. */
	static const struct {
		const char *family, *what, *peer, *title;
		double from;
	} all[] = {
		{"batch", "outstanding on one socket", "gather", "a gather by hand", 8},
		{"sockets", "sockets", "send", "send(2)", 1},
	};

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct growth growth = growth_of(result, all[i].family, all[i].from, all[i].peer);

		if (growth.count < 2)
			continue;
		words_append(
			text, size,
			"%s %.0f to %.0f %s a record costs sluice at most %.2f times as much, and "
			"%s %.2f times",
			*text ? "; from" : "From", growth.from, growth.to, all[i].what, growth.ours,
			all[i].title, growth.its);
	}
	if (*text)
		words_append(text, size, ", what caches do included.");
}

void words_load(char *text, size_t size, const struct result *result)
{
	double load = strtod(conditions_value(&result->conditions, "load_before"), NULL);
	double cpus = strtod(conditions_value(&result->conditions, "cpus"), NULL);

	text[0] = '\0';
	if (cpus > 0 && load > cpus)
		words_append(
			text, size,
			"WARNING: the load before the run was %.1f, more than the %.0f core%s of this "
			"machine: other programs disturbed what was measured.",
			load, cpus, cpus > 1 ? "s" : "");
}

void words_aims(char *text, size_t size, const struct result *result)
{
	size_t counts[OUTCOME_MISSED + 1] = {0}, aims = 0;

	text[0] = '\0';
	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_scenario *scenario = &result->scenarios[i];

		for (size_t j = 1; j < scenario->peer_count; j++) {
			enum outcome outcome = result_outcome(scenario, &scenario->peers[j]);

			counts[outcome]++;
			aims += outcome != OUTCOME_NO_AIM;
		}
	}
	if (aims > 0)
		words_append(text, size,
			     "Of the project's %zu aims measured here, %zu are met and %zu missed; "
			     "for %zu the noise is too large to tell.",
			     aims, counts[OUTCOME_MET], counts[OUTCOME_MISSED],
			     counts[OUTCOME_CANNOT_TELL]);
}

/* How much the worst of the metrics misses. */
static double distance(const struct result_scenario *scenario, const struct result_peer *peer)
{
	double worst = 0;

	for (int metric = 0; metric < METRICS; metric++) {
		if (scenario->judged & METRIC_BIT(metric))
			worst = fmax(worst, peer->ratio[metric].median -
						    result_aim(peer, (enum metric)metric));
	}
	return worst;
}

void words_aim(char *text, size_t size, const struct result_scenario *scenario,
	       const struct result_peer *peer)
{
	text[0] = '\0';
	switch (result_outcome(scenario, peer)) {
	case OUTCOME_NO_AIM:
		break;
	case OUTCOME_MET:
		words_append(text, size, "met");
		break;
	case OUTCOME_CANNOT_TELL:
		words_append(text, size, "cannot tell");
		break;
	case OUTCOME_MISSED:
		words_append(text, size, "missed by %.2g", distance(scenario, peer));
		break;
	}
}

void words_peak(char *text, size_t size, const struct result_scenario *scenario)
{
	text[0] = '\0';
	for (size_t i = 0; i < scenario->peer_count; i++) {
		const struct result_peer *peer = &scenario->peers[i];

		if (peer->peak_bytes <= 0)
			continue;
		words_append(text, size, "%s%s %.1f MB", *text ? ", " : "", peer->title,
			     peer->peak_bytes / 1e6);
		if (peer->peak_aim > 0)
			words_append(text, size, " (aim %.1f MB: %s)", peer->peak_aim / 1e6,
				     peer->peak_bytes <= peer->peak_aim ? "met" : "missed");
	}
}
