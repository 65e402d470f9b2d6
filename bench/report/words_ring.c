/* SPDX-License-Identifier: MIT */
/* What io_uring saves or costs, in words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/words.h"

/* Ours is on one of the two, the other one is a peer of that name. */
static const struct result_peer *other_backend(const struct result_scenario *scenario,
					       bool *ret_ours_is_ring)
{
	const struct result_peer *epoll = result_find_peer(scenario, "sluice-epoll");

	*ret_ours_is_ring = epoll != NULL;
	return epoll != NULL ? epoll : result_find_peer(scenario, "sluice-uring");
}

/* CPU time of the ring divided by that of something else, one a scenario. */
struct savings {
	double *ratios;
	size_t count;
};

/* The ring's CPU time divided by the other backend's; 0: one of them is missing. */
static double ring_by_epoll(const struct result_scenario *scenario)
{
	bool ours_is_ring;
	const struct result_peer *other = other_backend(scenario, &ours_is_ring);
	double ratio = other != NULL ? other->ratio[METRIC_CPU].median : 0;

	return ratio > 0 && !ours_is_ring ? 1 / ratio : ratio;
}

/*
 * The ring's CPU time divided by that of a send(2) for each socket; 0: one of them is missing, or a
 * socket has several records, which would then be gathered.
 */
static double ring_by_calls(const struct result *result, const struct result_scenario *scenario)
{
	const struct result_peer *calls = result_find_peer(scenario, "send");
	const struct result_peer *ring = result_find_peer(scenario, "sluice-uring");
	double ratio = calls != NULL ? calls->ratio[METRIC_CPU].median : 0;

	if (strcmp(scenario->family, "sockets") != 0 || ratio <= 0)
		return 0;
	if (strcmp(conditions_value(&result->conditions, "backend"), "uring") == 0)
		return ratio;
	if (ring == NULL || ring->ratio[METRIC_CPU].median <= 0)
		return 0;
	return ratio / ring->ratio[METRIC_CPU].median;
}

static int compare_ratios(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* "43 % less than ... (0.45 to 0.70 times in 4 loads)" */
static void append_saving(char *text, size_t size, struct savings *savings, const char *than)
{
	size_t count = savings->count;
	double median, least, most;

	if (count == 0)
		return;
	qsort(savings->ratios, count, sizeof(*savings->ratios), compare_ratios);
	least = savings->ratios[0];
	most = savings->ratios[count - 1];
	median = (savings->ratios[(count - 1) / 2] + savings->ratios[count / 2]) / 2;
	words_append(text, size, "%s", *text ? "; " : "CPU time of io_uring on this machine: ");
	if (fabs(median - 1) <= WORDS_LEVEL)
		words_append(text, size, "the same as %s", than);
	else
		words_append(text, size, "%.0f %% %s than %s", 100 * fabs(median - 1),
			     median < 1 ? "less" : "more", than);
	if (count > 1)
		words_append(text, size, " (%.2f to %.2f times in %zu loads)", least, most, count);
	else
		words_append(text, size, " (%.2f times in one load)", median);
}

void words_ring(char *text, size_t size, const struct result *result)
{
	double *ratios = calloc(2 * result->scenario_count + 1, sizeof(*ratios));
	struct savings calls = {.ratios = ratios};
	struct savings epoll = {.ratios = ratios + result->scenario_count};

	text[0] = '\0';
	for (size_t i = 0; ratios != NULL && i < result->scenario_count; i++) {
		double by_calls = ring_by_calls(result, &result->scenarios[i]);
		double by_epoll = ring_by_epoll(&result->scenarios[i]);

		if (by_calls > 0)
			calls.ratios[calls.count++] = by_calls;
		if (by_epoll > 0)
			epoll.ratios[epoll.count++] = by_epoll;
	}
	append_saving(text, size, &calls, "one send(2) for each of many sockets");
	append_saving(text, size, &epoll, "sluice on epoll");
	if (*text)
		words_append(text, size, ".");
	free(ratios);
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
		const struct interval *headline;
		double ratio; /* ring / epoll */
		int order;

		if (other == NULL)
			continue;
		headline = &other->ratio[result->scenarios[i].headline];
		ratio = headline->median;
		order = words_order(headline);
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
	words_append(
		text, size,
		"On this machine io_uring takes between %.2f and %.2f times the cost of epoll, both by "
		"sluice: less in %zu of %zu loads, the same in %zu, more in %zu.",
		best, worst, faster, faster + level + slower, level, slower);
}
