/* SPDX-License-Identifier: MIT */
#include "report/html.h"

#include <ctype.h>
#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/words.h"

void html_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			fputc(*text, file);
		}
	}
}

void html_id(FILE *file, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (isalnum(c) || c == '-' || c == '.')
			fputc(c, file);
		else
			fprintf(file, "_%02x", c);
	}
}

void html_picture(FILE *file, int width, size_t height, const char *name)
{
	fprintf(file, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-labelledby=\"t-", width,
		height);
	html_id(file, name);
	fputs(" d-", file);
	html_id(file, name);
	fputs("\">\n", file);
}

void html_picture_title(FILE *file, const char *name)
{
	fputs("<title id=\"t-", file);
	html_id(file, name);
	fputs("\">", file);
}

void html_picture_description(FILE *file, const char *name)
{
	fputs("<desc id=\"d-", file);
	html_id(file, name);
	fputs("\">", file);
}

static void put_element(FILE *file, const char *tag, const char *attributes, const char *text)
{
	if (*text == '\0')
		return;
	fprintf(file, "<%s%s>", tag, attributes);
	html_text(file, text);
	fprintf(file, "</%s>\n", tag);
}

static void put_verdict(const struct result *result, FILE *file)
{
	char words[WORDS_MAX];

	fputs("<h2>The verdict</h2>\n", file);
	words_load(words, sizeof(words), result);
	put_element(file, "p", " class=\"verdict\"", words);
	words_standing(words, sizeof(words), result);
	put_element(file, "p", " class=\"verdict\"", words);
	words_backends(words, sizeof(words), result);
	put_element(file, "p", " class=\"verdict\"", words);
	words_growth(words, sizeof(words), result);
	put_element(file, "p", "", words);
	words_aims(words, sizeof(words), result);
	put_element(file, "p", "", words);
	fputs("<p class=\"soft\">Every figure is a median; the interval beside it holds the true "
	      "median with 95 % probability, whatever the distribution. All peers of a comparison "
	      "took turns, so that ratios hold where times do not: <i>ours / its</i> "
	      "below 1 says that sluice takes less.</p>\n",
	      file);
}

/* Gathers one family's points: a line for each peer that stands in it anywhere. */
static struct html_line *family_line(struct html_lines *lines, const struct result_peer *peer)
{
	for (size_t i = 0; i < lines->line_count; i++) {
		if (strcmp(lines->lines[i].title, peer->title) == 0)
			return &lines->lines[i];
	}
	lines->lines[lines->line_count] =
		(struct html_line){.title = peer->title, .colour = (int)lines->line_count};
	return &lines->lines[lines->line_count++];
}

static void add_to_family(struct html_lines *lines, const struct result_scenario *scenario)
{
	struct html_tick *tick = &lines->ticks[lines->tick_count];

	if (lines->tick_count == sizeof(lines->ticks) / sizeof(lines->ticks[0]))
		return;
	lines->tick_count++;
	tick->x = scenario->x;
	snprintf(tick->label, sizeof(tick->label), "%g", scenario->x);
	for (size_t i = 0; i < scenario->peer_count; i++) {
		const struct result_peer *peer = &scenario->peers[i];
		const struct interval *cost = &peer->cost[scenario->headline];
		struct html_line *line = family_line(lines, peer);

		if (line->count == RESULT_POINTS)
			continue;
		line->points[line->count].x = scenario->x;
		line->points[line->count].y = cost->median;
		line->points[line->count].low = cost->low;
		line->points[line->count].high = cost->high;
		line->count++;
	}
}

/* Room for a line of every peer there is. */
static struct html_line *room_for_lines(const struct result *result)
{
	size_t peers = 1;
	struct html_line *lines;

	for (size_t i = 0; i < result->scenario_count; i++)
		peers += result->scenarios[i].peer_count;
	lines = calloc(peers, sizeof(*lines));
	if (lines == NULL)
		err(1, "out of memory");
	return lines;
}

static void put_family(const struct result *result, const char *family, const char *title,
		       const char *x_title, FILE *file)
{
	struct html_lines lines = {
		.name = family,
		.title = title,
		.description = "A curve for each peer, both axes logarithmic.",
		.x_title = x_title,
		.lines = room_for_lines(result),
	};

	for (size_t i = 0; i < result->scenario_count; i++) {
		if (strcmp(result->scenarios[i].family, family) == 0 &&
		    result->scenarios[i].peer_count > 0)
			add_to_family(&lines, &result->scenarios[i]);
	}
	if (lines.tick_count > 1) {
		fputs("<section>\n", file);
		put_element(file, "h3", "", title);
		html_lines(&lines, file);
		fputs("</section>\n", file);
	}
	free(lines.lines);
}

/* Of 1,000 requests, so many are slower: this is what the axis shows. */
static double slowness(double percent)
{
	return 1 / fmax(1 - percent / 100, 1e-6);
}

static bool has_latency(const struct result_scenario *scenario)
{
	for (size_t i = 0; i < scenario->peer_count; i++) {
		if (scenario->peers[i].point_count > 0)
			return true;
	}
	return false;
}

static void put_latency(const struct result *result, const struct result_scenario *scenario,
			FILE *file)
{
	static const double percents[] = {50, 90, 99, 99.9, 99.99};
	char name[64];
	struct html_lines lines = {
		.name = name,
		.title = scenario->title,
		.description = "Latency of requests by percentile, from when they were due.",
		.x_title = "percentile of the requests",
		.lines = room_for_lines(result),
	};

	snprintf(name, sizeof(name), "latency-%s", scenario->name);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		struct html_tick *tick = &lines.ticks[lines.tick_count++];

		tick->x = slowness(percents[i]);
		snprintf(tick->label, sizeof(tick->label), "%g", percents[i]);
	}
	for (size_t i = 0; i < scenario->peer_count; i++) {
		struct html_line *line = family_line(&lines, &scenario->peers[i]);

		line->count = scenario->peers[i].point_count;
		for (size_t j = 0; j < line->count; j++) {
			line->points[j].x = slowness(scenario->peers[i].points[j].percent);
			line->points[j].y = scenario->peers[i].points[j].ns;
		}
	}
	fputs("<section>\n", file);
	put_element(file, "h3", "", scenario->title);
	html_lines(&lines, file);
	fputs("</section>\n", file);
	free(lines.lines);
}

static void put_curves(const struct result *result, FILE *file)
{
	fputs("<h2>Curves</h2>\n<div class=\"grid\">\n", file);
	put_family(result, "batch", "Cost of a record, by how many are outstanding on one socket",
		   "records outstanding", file);
	put_family(result, "sockets", "Cost of a record, by over how many sockets they go",
		   "sockets", file);
	put_family(result, "engines",
		   "CPU time of a record, by how many engines send, each on a core of its own",
		   "engines", file);
	put_family(result, "file", "Cost of a file, by its size", "KiB", file);
	for (size_t i = 0; i < result->scenario_count; i++) {
		if (has_latency(&result->scenarios[i]))
			put_latency(result, &result->scenarios[i], file);
	}
	fputs("</div>\n", file);
}

static void put_comparisons(const struct result *result, FILE *file)
{
	char words[WORDS_MAX];

	fputs("<h2>Each load</h2>\n<div class=\"grid\">\n", file);
	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_scenario *scenario = &result->scenarios[i];

		if (scenario->peer_count == 0)
			continue;
		fputs("<section id=\"", file);
		html_id(file, scenario->name);
		fputs("\">\n", file);
		put_element(file, "h3", "", scenario->title);
		words_scenario(words, sizeof(words), scenario);
		put_element(file, "p", "", words);
		words_headline(words, sizeof(words), scenario);
		fputs("<p class=\"soft\">", file);
		html_text(file, words);
		fputs("; receiver ", file);
		html_text(file, scenario->receiver);
		fputs("; whisker: 95 % interval</p>\n", file);
		html_bars(scenario, file);
		fputs("</section>\n", file);
	}
	fputs("</div>\n", file);
}

static void put_fact(FILE *file, const char *name, const char *value)
{
	fputs("<tr><th scope=\"row\">", file);
	html_text(file, name);
	fputs("</th><td>", file);
	html_text(file, value);
	fputs("</td></tr>\n", file);
}

static void put_conditions(const struct result *result, FILE *file)
{
	const struct result_method *method = &result->method;
	char text[200];

	fputs("<h2>Conditions</h2>\n<table class=\"facts\">\n", file);
	for (size_t i = 0; i < result->conditions.count; i++)
		put_fact(file, result->conditions.all[i].name, result->conditions.all[i].value);
	snprintf(text, sizeof(text),
		 "%.0f sessions with new sockets, of %.0f rounds of all peers in turn, about %g ms "
		 "each%s",
		 method->sessions, method->rounds, method->slice_ns / 1e6,
		 method->against_itself ? "; sluice against itself" : "");
	put_fact(file, "method", text);
	snprintf(text, sizeof(text), "%.0f us after each look", method->receiver_sleep_us);
	put_fact(file, "receiver sleeps", text);
	fputs("</table>\n", file);
}

static void put_missing_list(const struct result_missing_list *list, const char *where, FILE *file)
{
	for (size_t i = 0; i < list->count; i++) {
		char name[80];

		snprintf(name, sizeof(name), "%s%s%s", where, *where ? ": " : "",
			 list->all[i].name);
		put_fact(file, name, list->all[i].reason);
	}
}

static void put_missing(const struct result *result, FILE *file)
{
	size_t count = result->missing.count;

	for (size_t i = 0; i < result->scenario_count; i++)
		count += result->scenarios[i].missing.count;
	if (count == 0)
		return;
	fputs("<h2>Not measured</h2>\n<table class=\"facts\">\n", file);
	put_missing_list(&result->missing, "", file);
	for (size_t i = 0; i < result->scenario_count; i++)
		put_missing_list(&result->scenarios[i].missing, result->scenarios[i].name, file);
	fputs("</table>\n", file);
}

static void put_interval(FILE *file, const struct interval *interval)
{
	if (interval->high > 0)
		fprintf(file, "<td>%.4g [%.4g, %.4g]</td>", interval->median, interval->low,
			interval->high);
	else
		fputs("<td>-</td>", file);
}

static void put_raw_peer(const struct result_scenario *scenario, const struct result_peer *peer,
			 FILE *file)
{
	char aim[64];

	fputs("<tr><td>", file);
	html_text(file, peer->title);
	fputs("</td>", file);
	for (int metric = 0; metric < METRICS; metric++)
		put_interval(file, &peer->cost[metric]);
	for (int metric = 0; metric < METRICS; metric++)
		put_interval(file, &peer->ratio[metric]);
	if (peer->system_calls >= 0)
		fprintf(file, "<td>%.3g</td>", peer->system_calls);
	else
		fputs("<td>-</td>", file);
	words_aim(aim, sizeof(aim), scenario, peer);
	if (peer->aim > 0)
		fprintf(file, "<td>%.3g: %s</td></tr>\n", peer->aim, aim);
	else
		fputs("<td>-</td></tr>\n", file);
}

static void put_samples(const struct result_scenario *scenario, const struct result_peer *peer,
			FILE *file)
{
	double operations = scenario->headline == METRIC_P99 ? 1 : peer->operations;

	fputs("<p class=\"samples\">", file);
	html_text(file, peer->title);
	if (*peer->note) {
		fputs(" (", file);
		html_text(file, peer->note);
		fputs(")", file);
	}
	fprintf(file, ", %s in ns, turn by turn:", words_metric(scenario->headline));
	for (size_t i = 0; i < peer->count; i++)
		fprintf(file, " %.4g", peer->samples[i].ns[scenario->headline] / operations);
	fputs("</p>\n", file);
}

static void put_raw(const struct result *result, FILE *file)
{
	fputs("<h2>The raw numbers</h2>\n", file);
	for (size_t i = 0; i < result->scenario_count; i++) {
		const struct result_scenario *scenario = &result->scenarios[i];

		if (scenario->peer_count == 0)
			continue;
		fputs("<details><summary>", file);
		html_text(file, scenario->name);
		fputs("</summary>\n<div class=\"table\" tabindex=\"0\" role=\"region\" "
		      "aria-label=\"figures of ",
		      file);
		html_text(file, scenario->name);
		fputs("\"><table>\n<tr><th>peer</th>"
		      "<th>time, ns</th><th>CPU time, ns</th><th>p99, ns</th>"
		      "<th>time, ours / its</th><th>CPU, ours / its</th><th>p99, ours / its</th>"
		      "<th>system calls</th><th>aim</th></tr>\n",
		      file);
		for (size_t j = 0; j < scenario->peer_count; j++)
			put_raw_peer(scenario, &scenario->peers[j], file);
		fputs("</table></div>\n", file);
		for (size_t j = 0; j < scenario->peer_count; j++)
			put_samples(scenario, &scenario->peers[j], file);
		fputs("</details>\n", file);
	}
}

void html_write(const struct result *result, FILE *file)
{
	const char *date = conditions_value(&result->conditions, "date");
	char when[640];

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>sluice bench, ",
	      file);
	html_text(file, date);
	fputs("</title>\n", file);
	html_style(file);
	fputs("</head>\n<body>\n<main>\n<h1>What sending costs on this machine</h1>\n", file);
	snprintf(when, sizeof(when), "%s; kernel %s; %s; sluice %s (%s)", date,
		 conditions_value(&result->conditions, "kernel"),
		 conditions_value(&result->conditions, "cpu"),
		 conditions_value(&result->conditions, "sluice"),
		 conditions_value(&result->conditions, "backend"));
	put_element(file, "p", " class=\"soft\"", when);
	put_verdict(result, file);
	put_curves(result, file);
	put_comparisons(result, file);
	put_conditions(result, file);
	put_missing(result, file);
	put_raw(result, file);
	fputs("</main>\n</body>\n</html>\n", file);
}
