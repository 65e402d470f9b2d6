/* SPDX-License-Identifier: MIT */
/*
 * A result as one page of HTML that needs nothing else: no script, no font, no picture from
 * outside. html.c is the page, bars.c and lines.c draw its pictures, style.c has its colours.
 */
#ifndef SLUICE_BENCH_HTML_H
#define SLUICE_BENCH_HTML_H

#include <stdio.h>

#include "result.h"

/* Whether the file took it is for the caller to ask. */
void html_write(const struct result *result, FILE *file);

/* Text between tags, or in an attribute. */
void html_text(FILE *file, const char *text);

/* All of a style element. */
void html_style(FILE *file);

/* A bar for each peer of the scenario: its cost, with the interval. */
void html_bars(const struct result_scenario *scenario, FILE *file);

/* How many colours there are; peers beyond them share one. */
#define HTML_COLOURS 10

/* One curve of a picture. */
struct html_line {
	const char *title;
	int colour;
	size_t count;
	struct {
		double x, y, low, high;
	} points[RESULT_POINTS];
};

struct html_tick {
	double x;
	char label[16];
};

/* A picture with curves. Both axes are logarithmic; y are nanoseconds. */
struct html_lines {
	const char *id;
	const char *title;
	const char *description;
	const char *x_title;
	struct html_line *lines;
	size_t line_count;
	struct html_tick ticks[16];
	size_t tick_count;
};

void html_lines(const struct html_lines *lines, FILE *file);

#endif
