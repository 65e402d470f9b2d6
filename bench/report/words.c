/* SPDX-License-Identifier: MIT */
#include "report/words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a socket's luck can do, whatever the interval of the rounds says. */
#define LEVEL 0.02

static void __attribute__((format(printf, 3, 4)))
append(char *text, size_t size, const char *format, ...)
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
	static const char *const words[METRICS] = {"time", "CPU time", "p99 latency"};

	return words[metric];
}

void words_headline(char *text, size_t size, const struct result_scenario *scenario)
{
	const char *metric = words_metric(scenario->headline), *unit = scenario->unit;

	if (scenario->headline == METRIC_P99)
		snprintf(text, size, "%s", metric);
	else
		snprintf(text, size, "%s %s %s", metric,
			 *unit && strchr("aeiou", *unit) ? "an" : "a", unit);
}

int words_order(const struct interval *ratio)
{
	/* Too few rounds to tell anything. */
	if (ratio->confidence < RESULT_CONFIDENCE)
		return 0;
	if (ratio->high < 1 && ratio->median < 1 - LEVEL)
		return -1;
	if (ratio->low > 1 && ratio->median > 1 + LEVEL)
		return 1;
	return 0;
}

/* An interval that could hide anything that matters. */
static bool is_noisy(const struct interval *ratio)
{
	return ratio->high > 1.2 * ratio->low || ratio->confidence < RESULT_CONFIDENCE;
}

static const struct interval *headline(const struct result_scenario *scenario,
				       const struct result_peer *peer)
{
	return &peer->ratio[scenario->headline];
}

static size_t count_foreign(const struct result_scenario *scenario)
{
	size_t count = 0;

	for (size_t i = 1; i < scenario->peer_count; i++)
		count += result_is_foreign(&scenario->peers[i]);
	return count;
}

/* The one that stands best against ours, or NULL; one of ours where there is nobody else. */
static const struct result_peer *best_other(const struct result_scenario *scenario)
{
	bool any = count_foreign(scenario) == 0;
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
		append(text, size, "%s is ahead of %s; %s takes %s times its %s",
		       scenario->peers[0].title,
		       count_foreign(scenario) > 1 ? "all others" : "the other", best->title, ratio,
		       metric);
	else if (order == 0 && is_noisy(headline(scenario, best)))
		append(text, size, "the noise is too large to tell %s from %s (%s times the %s)",
		       scenario->peers[0].title, best->title, ratio, metric);
	else if (order == 0)
		append(text, size, "%s and %s are level (%s times the %s)",
		       scenario->peers[0].title, best->title, ratio, metric);
	else
		append(text, size, "%s is ahead: %s takes %s times its %s", best->title,
		       scenario->peers[0].title, ratio, metric);
	if (order >= 0 && count_foreign(scenario) > 1)
		append(text, size, "; of the %zu others, ours is ahead of %zu and behind %zu",
		       count_foreign(scenario), count_order(scenario, -1),
		       count_order(scenario, 1));
	append(text, size, ".");
}

/* "a, b and c", of the scenarios where the best other stands so. */
static void append_names(char *text, size_t size, const struct result *result, int order)
{
	size_t named = 0;

	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_scenario *scenario = &result->scenarios[i];
		const struct result_peer *best = best_other(scenario);

		if (best != NULL && words_order(headline(scenario, best)) == order)
			append(text, size, "%s%s", named++ > 0 ? ", " : "", scenario->name);
	}
}

void words_standing(char *text, size_t size, const struct result *result)
{
	size_t counts[3] = {0}, all = 0;

	size_t noisy = 0;

	text[0] = '\0';
	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_peer *best = best_other(&result->scenarios[i]);
		int order;

		if (best == NULL)
			continue;
		order = words_order(headline(&result->scenarios[i], best));
		if (order == 0 && is_noisy(headline(&result->scenarios[i], best)))
			noisy++;
		else
			counts[order + 1]++;
		all++;
	}
	if (all == 0)
		return;
	append(text, size,
	       "On this machine, for these loads: of %zu comparisons, sluice is ahead of every "
	       "other in %zu, level with the best in %zu, and behind the best in %zu",
	       all, counts[0], counts[1], counts[2]);
	if (counts[2] > 0) {
		append(text, size, " (");
		append_names(text, size, result, 1);
		append(text, size, ")");
	}
	if (noisy > 0)
		append(text, size, "; the noise was too large to tell in %zu", noisy);
	append(text, size, ".");
}

/* Ours is on one of the two, the other one is a peer of that name. */
static const struct result_peer *other_backend(const struct result_scenario *scenario,
					       bool *ret_ours_is_ring)
{
	const struct result_peer *epoll = result_find_peer(scenario, "sluice-epoll");

	*ret_ours_is_ring = epoll != NULL;
	return epoll != NULL ? epoll : result_find_peer(scenario, "sluice-uring");
}

void words_backends(char *text, size_t size, const struct result *result)
{
	size_t faster = 0, level = 0, slower = 0;
	double best = 1, worst = 1;

	text[0] = '\0';
	for (size_t i = 0; i < result->scenario_count; i++) {
		bool ours_is_ring;
		const struct result_peer *other =
			other_backend(&result->scenarios[i], &ours_is_ring);
		double ratio; /* ring / epoll */
		int order;

		if (other == NULL)
			continue;
		ratio = headline(&result->scenarios[i], other)->median;
		order = words_order(headline(&result->scenarios[i], other));
		if (!ours_is_ring) {
			ratio = 1 / ratio;
			order = -order;
		}
		faster += order < 0;
		level += order == 0;
		slower += order > 0;
		best = fmin(best, ratio);
		worst = fmax(worst, ratio);
	}
	if (faster + level + slower == 0)
		return;
	append(text, size,
	       "io_uring against epoll, both by sluice: cheaper in %zu, level in %zu, dearer in %zu "
	       "of %zu; it takes between %.2f and %.2f times as much.",
	       faster, level, slower, faster + level + slower, best, worst);
}

/* The scenarios of a family, from one x to another, in which both peers are. */
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
	/* Batches begin where gathering does; what it saves is no growth. */
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
		append(text, size,
		       "%s %.0f to %.0f %s a record costs sluice at most %.2f times as much, and "
		       "%s %.2f times",
		       *text ? "; from" : "From", growth.from, growth.to, all[i].what, growth.ours,
		       all[i].title, growth.its);
	}
	if (*text)
		append(text, size, ", what caches do included.");
}

void words_load(char *text, size_t size, const struct result *result)
{
	double load = strtod(conditions_value(&result->conditions, "load_before"), NULL);
	double cpus = strtod(conditions_value(&result->conditions, "cpus"), NULL);

	text[0] = '\0';
	if (cpus > 0 && load > cpus)
		append(text, size,
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
		append(text, size,
		       "Of the project's %zu aims measured here, %zu are met and %zu missed; "
		       "for %zu the noise is too large to tell.",
		       aims, counts[OUTCOME_MET], counts[OUTCOME_MISSED],
		       counts[OUTCOME_CANNOT_TELL]);
}

/* By how much the worst of the metrics misses. */
static double distance(const struct result_scenario *scenario, const struct result_peer *peer)
{
	double worst = 0;

	for (int metric = 0; metric < METRICS; metric++) {
		if (scenario->judged & METRIC_BIT(metric))
			worst = fmax(worst, peer->ratio[metric].median - peer->aim);
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
		append(text, size, "met");
		break;
	case OUTCOME_CANNOT_TELL:
		append(text, size, "cannot tell");
		break;
	case OUTCOME_MISSED:
		append(text, size, "missed by %.2g", distance(scenario, peer));
		break;
	}
}
