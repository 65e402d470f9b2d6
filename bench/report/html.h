/* SPDX-License-Identifier: MIT */
/*
 * A result as one page of HTML that needs nothing else: no script, no font, no picture from
 * outside. html.c is the page, bars.c and lines.c draw its pictures, style.c has its colours.
 */
#ifndef BENCH_REPORT_HTML_H
#define BENCH_REPORT_HTML_H

#include <stdio.h>

#include "report/result.h"

/* Whether the file took it is for the caller to ask. */
void html_write(const struct result *result, FILE *file);

/* Text between tags, or in an attribute between double quotes. */
void html_text(FILE *file, const char *text);

/* A name as a part of an id: what an id must not contain is replaced, different names stay so. */
void html_id(FILE *file, const char *name);

/* Opens the svg element of a picture, which its title and its description label. */
void html_picture(FILE *file, int width, size_t height, const char *name);
void html_picture_title(FILE *file, const char *name);
void html_picture_description(FILE *file, const char *name);

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
	const char *name; /* of its ids */
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
