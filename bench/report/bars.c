/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "report/html.h"
#include "report/words.h"

/* In units of the picture, which are pixels on a narrow phone. */
#define WIDTH 328
#define ROW 31
#define BAR 9

static double most(const struct result_scenario *scenario)
{
	double most = 0;

	for (size_t i = 0; i < scenario->peer_count; i++)
		most = fmax(most, scenario->peers[i].cost[scenario->headline].median);
	return most > 0 ? most : 1;
}

/* What the bar says, in figures: its value, and the ratio. */
static void put_value(const struct result_scenario *scenario, const struct result_peer *peer,
		      FILE *file)
{
	char time[32], ratio[32];

	words_time(time, sizeof(time), peer->cost[scenario->headline].median);
	words_ratio(ratio, sizeof(ratio), peer->ratio[scenario->headline].median);
	fprintf(file, "%s", time);
	if (peer != scenario->peers)
		fprintf(file, "; ours / its %s", ratio);
}

static void put_description(const struct result_scenario *scenario, FILE *file)
{
	html_picture_title(file, scenario->name);
	html_text(file, scenario->title);
	fprintf(file, ": %s of each peer</title>\n", words_metric(scenario->headline));
	html_picture_description(file, scenario->name);
	for (size_t i = 0; i < scenario->peer_count; i++) {
		html_text(file, scenario->peers[i].title);
		fputs(": ", file);
		put_value(scenario, &scenario->peers[i], file);
		fputs(". ", file);
	}
	fputs("</desc>\n", file);
}

/* The whisker of a very noisy peer ends at the picture's edge. */
static double position(double ns, double scale)
{
	return fmin(ns * scale, WIDTH - 1);
}

static void put_row(const struct result_scenario *scenario, size_t row, double scale, FILE *file)
{
	const struct result_peer *peer = &scenario->peers[row];
	const struct interval *cost = &peer->cost[scenario->headline];
	double top = (double)(row * ROW);
	double middle = top + 17 + BAR / 2.0;

	fprintf(file, "<text x=\"0\" y=\"%g\"%s>", top + 12, row == 0 ? " class=\"ours\"" : "");
	html_text(file, peer->title);
	fprintf(file, "</text>\n<text x=\"%d\" y=\"%g\" text-anchor=\"end\">", WIDTH, top + 12);
	put_value(scenario, peer, file);
	fprintf(file,
		"</text>\n<rect x=\"0\" y=\"%g\" width=\"%.1f\" height=\"%d\" rx=\"1\" "
		"class=\"f%d\"/>\n",
		top + 17, fmax(position(cost->median, scale), 0.5), BAR, row == 0 ? 0 : 9);
	fprintf(file,
		"<path class=\"whisker\" d=\"M%.1f %gH%.1f M%.1f %gv6 M%.1f %gv6\" "
		"fill=\"none\"/>\n",
		position(cost->low, scale), middle, position(cost->high, scale),
		position(cost->low, scale), middle - 3, position(cost->high, scale), middle - 3);
}

void html_bars(const struct result_scenario *scenario, FILE *file)
{
	double scale = WIDTH * 0.9 / most(scenario);

	html_picture(file, WIDTH, scenario->peer_count * ROW + 2, scenario->name);
	put_description(scenario, file);
	for (size_t i = 0; i < scenario->peer_count; i++)
		put_row(scenario, i, scale, file);
	fputs("</svg>\n", file);
}
