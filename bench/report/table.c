/* SPDX-License-Identifier: MIT */
#include "report/table.h"

#include <stdio.h>
#include <string.h>

#include "report/words.h"

#define WIDTH 96

/* Wraps text at WIDTH columns, with a prefix on all lines but the first. */
static void print_wrapped(const char *text, const char *indent)
{
	size_t column = 0;

	while (*text) {
		size_t length = strcspn(text, " ");

		if (column > 0 && column + 1 + length > WIDTH) {
			printf("\n%s", indent);
			column = strlen(indent);
		} else if (column > 0) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_load(const struct result *result)
{
	char words[WORDS_MAX];

	words_load(words, sizeof(words), result);
	if (*words)
		print_wrapped(words, "");
}

void table_print_conditions(const struct result *result)
{
	const struct result_method *method = &result->method;
	for (size_t i = 0; i < result->conditions.count; i++) {
		const struct condition *condition = &result->conditions.all[i];

		printf("%-22s ", condition->name);
		print_wrapped(condition->value, "                       ");
	}
	printf("%-22s %.0f sessions with new sockets, of %.0f rounds of about %g ms each%s\n",
	       "method", method->sessions, method->rounds, method->slice_ns / 1e6,
	       method->against_itself ? ", ours AGAINST ITSELF" : "");
	if (method->receiver_sleep_us > 0)
		printf("%-22s the receiver sleeps for %.0f us after each look\n", "",
		       method->receiver_sleep_us);
	print_load(result);
	printf("\nFigures are medians, in brackets the interval that holds the true median with 95 %% "
	       "probability.\nA ratio below 1 says that ours takes less.\n\n");
}

static void format_interval(char *text, size_t size, const struct interval *interval)
{
	char median[16], low[16], high[16];

	if (interval->high <= 0) {
		snprintf(text, size, "-");
		return;
	}
	words_ratio(median, sizeof(median), interval->median);
	words_ratio(low, sizeof(low), interval->low);
	words_ratio(high, sizeof(high), interval->high);
	snprintf(text, size, "%s [%s, %s]", median, low, high);
}

/* The second column of ratios: what is judged besides the headline metric. */
static enum metric second_metric(const struct result_scenario *scenario)
{
	for (int metric = 0; metric < METRICS; metric++) {
		if ((enum metric)metric != scenario->headline &&
		    (scenario->judged & METRIC_BIT(metric)))
			return (enum metric)metric;
	}
	if (scenario->headline != METRIC_CPU)
		return METRIC_CPU;
	return scenario->peer_count > 0 && scenario->peers[0].cost[METRIC_P99].high > 0
		       ? METRIC_P99
		       : METRIC_WALL;
}

static void print_head(const struct result_scenario *scenario, enum metric second)
{
	char unit[64], first_ratio[64], second_ratio[64];

	printf("%s: %s; receiver %s\n", scenario->name, scenario->title, scenario->receiver);
	words_headline(unit, sizeof(unit), scenario);
	snprintf(first_ratio, sizeof(first_ratio), "%s, ours / its",
		 words_metric(scenario->headline));
	snprintf(second_ratio, sizeof(second_ratio), "%s, ours / its", words_metric(second));
	printf("  %-24s %18s  %-21s %-21s %5s  %s\n", "", unit, first_ratio, second_ratio, "calls",
	       "aim");
}

static void print_peer(const struct result_scenario *scenario, const struct result_peer *peer,
		       enum metric second)
{
	char time[32], first_ratio[64] = "", second_ratio[64] = "", calls[32] = "-", aim[96] = "";

	words_time(time, sizeof(time), peer->cost[scenario->headline].median);
	if (peer != scenario->peers) {
		format_interval(first_ratio, sizeof(first_ratio), &peer->ratio[scenario->headline]);
		format_interval(second_ratio, sizeof(second_ratio), &peer->ratio[second]);
	}
	if (peer->system_calls >= 0)
		snprintf(calls, sizeof(calls), "%.3g", peer->system_calls);
	if (peer->aim > 0) {
		int length = snprintf(aim, sizeof(aim), "%.3gx ", peer->aim);

		if (peer->latency_aim > 0 && peer->latency_aim != peer->aim)
			length += snprintf(aim + length, sizeof(aim) - (size_t)length,
					   "(latency %.3gx) ", peer->latency_aim);
		words_aim(aim + length, sizeof(aim) - (size_t)length, scenario, peer);
	}
	printf("  %-24s %18s  %-21s %-21s %5s  %s\n", peer->title, time, first_ratio, second_ratio,
	       calls, aim);
	if (*peer->note)
		printf("    %s\n", peer->note);
}

static const double tails[] = {50, 99, 99.9, 99.99};
#define TAILS (sizeof(tails) / sizeof(tails[0]))

/* "40.1 us (0.95)": its latency there, and ours divided by it. */
static void print_tail(const struct result_peer *ours, const struct result_peer *peer,
		       double percent)
{
	double ns = result_latency(peer, percent), our_ns = result_latency(ours, percent);
	char time[32] = "-", text[64];

	if (ns > 0)
		words_time(time, sizeof(time), ns);
	if (peer == ours || ns <= 0 || our_ns <= 0)
		snprintf(text, sizeof(text), "%s       ", time);
	else
		snprintf(text, sizeof(text), "%s (%.2f)", time, our_ns / ns);
	printf(" %19s", text);
}

/* The latencies of all answers of a peer together. */
static void print_latencies(const struct result_scenario *scenario)
{
	if (scenario->peer_count == 0 || scenario->peers[0].point_count == 0)
		return;
	printf("  %-24s", "latency, (ours / its)");
	for (size_t i = 0; i < TAILS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "p%.4g       ", tails[i]);
		printf(" %19s", name);
	}
	putchar('\n');
	for (size_t i = 0; i < scenario->peer_count; i++) {
		printf("  %-24s", scenario->peers[i].title);
		for (size_t j = 0; j < TAILS; j++)
			print_tail(scenario->peers, &scenario->peers[i], tails[j]);
		putchar('\n');
	}
}

static void print_peak(const struct result_scenario *scenario)
{
	char words[WORDS_MAX];

	words_peak(words, sizeof(words), scenario);
	if (*words) {
		printf("  peak memory: ");
		print_wrapped(words, "    ");
	}
}

void table_print_scenario(const struct result_scenario *scenario)
{
	enum metric second = second_metric(scenario);
	char words[WORDS_MAX];

	if (scenario->peer_count > 0)
		print_head(scenario, second);
	for (size_t i = 0; i < scenario->peer_count; i++)
		print_peer(scenario, &scenario->peers[i], second);
	print_latencies(scenario);
	print_peak(scenario);
	words_scenario(words, sizeof(words), scenario);
	if (*words) {
		printf("  ");
		print_wrapped(words, "  ");
	}
	putchar('\n');
	fflush(stdout);
}

/* A peer that is missing in all scenarios is named once. */
static bool named_before(const struct result *result, size_t scenario,
			 const struct result_missing *missing)
{
	for (size_t i = 0; i < scenario; i++) {
		const struct result_missing_list *list = &result->scenarios[i].missing;

		for (size_t j = 0; j < list->count; j++) {
			if (strcmp(list->all[j].name, missing->name) == 0 &&
			    strcmp(list->all[j].reason, missing->reason) == 0)
				return true;
		}
	}
	return false;
}

static void print_missing(const struct result *result)
{
	bool any = false;

	for (size_t i = 0; i <= result->scenario_count; i++) {
		const struct result_missing_list *list = i < result->scenario_count
								 ? &result->scenarios[i].missing
								 : &result->missing;

		for (size_t j = 0; j < list->count; j++) {
			if (i < result->scenario_count && named_before(result, i, &list->all[j]))
				continue;
			printf("%s  %-20s %s\n", any ? "" : "Not measured:\n", list->all[j].name,
			       list->all[j].reason);
			any = true;
		}
	}
	if (any)
		putchar('\n');
}

void table_print_end(const struct result *result)
{
	static void (*const all[])(char *text, size_t size, const struct result *result) = {
		words_libraries, words_hand,   words_latency, words_ring,
		words_backends,  words_growth, words_aims};
	char words[WORDS_MAX];

	print_missing(result);
	print_load(result);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		all[i](words, sizeof(words), result);
		if (*words)
			print_wrapped(words, "");
	}
}
