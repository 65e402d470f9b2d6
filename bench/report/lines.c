/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "report/html.h"
#include "report/words.h"

/* In units of the picture, which are pixels on a narrow phone. */
#define WIDTH 328
#define LEFT 46
#define RIGHT (WIDTH - 10)
#define TOP 10
#define BOTTOM 210
#define LEGEND 250
#define LEGEND_ROW 16

struct range {
	double low, high;
};

struct frame {
	struct range x, y;
};

static void widen(struct range *range, double value)
{
	if (!(value > 0))
		return;
	range->low = range->low > 0 ? fmin(range->low, value) : value;
	range->high = fmax(range->high, value);
}

static struct frame frame_of(const struct html_lines *lines)
{
	struct frame frame = {0};

	for (size_t i = 0; i < lines->line_count; i++) {
		for (size_t j = 0; j < lines->lines[i].count; j++) {
			widen(&frame.x, lines->lines[i].points[j].x);
			widen(&frame.y, lines->lines[i].points[j].y);
		}
	}
	for (size_t i = 0; i < lines->tick_count; i++)
		widen(&frame.x, lines->ticks[i].x);
	/* At least a little room above and below, also where all is level. */
	frame.y.low = fmax(frame.y.low, 1e-3) / 1.3;
	frame.y.high = fmax(frame.y.high * 1.3, frame.y.low * 2);
	if (!(frame.x.high > frame.x.low))
		frame.x = (struct range){1, 10};
	return frame;
}

static double place(double value, struct range range, double from, double to)
{
	double share = log(fmax(value, 1e-9) / range.low) / log(range.high / range.low);

	return from + fmin(fmax(share, 0), 1) * (to - from);
}

static double x_of(const struct frame *frame, double x)
{
	return place(x, frame->x, LEFT, RIGHT);
}

static double y_of(const struct frame *frame, double y)
{
	return place(y, frame->y, BOTTOM, TOP);
}

static void put_y_tick(const struct frame *frame, double ns, FILE *file)
{
	char label[32];
	double y = y_of(frame, ns);

	snprintf(label, sizeof(label),
		 ns < 1e3   ? "%g ns"
		 : ns < 1e6 ? "%g us"
			    : "%g ms",
		 ns < 1e3   ? ns
		 : ns < 1e6 ? ns / 1e3
			    : ns / 1e6);
	fprintf(file, "<path class=\"rule\" d=\"M%d %.1fH%d\"/>\n", LEFT, y, RIGHT);
	fprintf(file, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		LEFT - 4, y + 3.5, label);
}

/* Powers of ten; where there are few of them 2 and 5 times these, too. */
static void put_y_axis(const struct frame *frame, FILE *file)
{
	double decades = log10(frame->y.high / frame->y.low);

	for (double power = pow(10, floor(log10(frame->y.low))); power <= frame->y.high;
	     power *= 10) {
		static const double steps[] = {1, 2, 5};

		for (int i = 0; i < (decades < 2.5 ? 3 : 1); i++) {
			double ns = power * steps[i];

			if (ns >= frame->y.low && ns <= frame->y.high)
				put_y_tick(frame, ns, file);
		}
	}
}

static void put_x_axis(const struct html_lines *lines, const struct frame *frame, FILE *file)
{
	for (size_t i = 0; i < lines->tick_count; i++) {
		double x = x_of(frame, lines->ticks[i].x);

		fprintf(file, "<path class=\"rule\" d=\"M%.1f %dv4\"/>\n", x, BOTTOM);
		fprintf(file, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", x,
			BOTTOM + 15, x > RIGHT - 12 ? "end" : "middle");
		html_text(file, lines->ticks[i].label);
		fputs("</text>\n", file);
	}
	fprintf(file, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", RIGHT,
		BOTTOM + 29);
	html_text(file, lines->x_title);
	fputs("</text>\n", file);
}

/* Lines that share a colour differ in their dashes. */
static void put_pen(const struct html_line *line, FILE *file)
{
	fprintf(file, "class=\"c%d\"%s", line->colour % HTML_COLOURS,
		line->colour >= HTML_COLOURS ? " stroke-dasharray=\"4 3\"" : "");
}

static void put_line(const struct html_line *line, const struct frame *frame, FILE *file)
{
	fputs("<polyline ", file);
	put_pen(line, file);
	fputs(" points=\"", file);
	for (size_t i = 0; i < line->count; i++)
		fprintf(file, "%s%.1f,%.1f", i > 0 ? " " : "", x_of(frame, line->points[i].x),
			y_of(frame, line->points[i].y));
	fputs("\"/>\n", file);
	for (size_t i = 0; i < line->count; i++) {
		double x = x_of(frame, line->points[i].x);

		if (!(line->points[i].high > 0))
			continue;
		fprintf(file, "<path class=\"spread c%d\" d=\"M%.1f %.1fV%.1f\"/>\n",
			line->colour % HTML_COLOURS, x, y_of(frame, line->points[i].low),
			y_of(frame, line->points[i].high));
		fprintf(file, "<circle class=\"f%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n",
			line->colour % HTML_COLOURS, x, y_of(frame, line->points[i].y));
	}
}

/* Two columns, where no title is too long for that. */
static size_t legend_columns(const struct html_lines *lines)
{
	for (size_t i = 0; i < lines->line_count; i++) {
		if (strlen(lines->lines[i].title) > 22)
			return 1;
	}
	return 2;
}

static size_t legend_rows(const struct html_lines *lines)
{
	size_t columns = legend_columns(lines);

	return (lines->line_count + columns - 1) / columns;
}

static void put_legend(const struct html_lines *lines, FILE *file)
{
	size_t columns = legend_columns(lines);

	for (size_t i = 0; i < lines->line_count; i++) {
		double x = i % columns ? WIDTH / 2.0 + 4 : 0;
		double y = (double)(LEGEND + LEGEND_ROW * (i / columns));

		fputs("<polyline ", file);
		put_pen(&lines->lines[i], file);
		fprintf(file, " points=\"%g,%g %g,%g\"/>\n<text x=\"%g\" y=\"%g\">", x, y, x + 16,
			y, x + 21, y + 4);
		html_text(file, lines->lines[i].title);
		fputs("</text>\n", file);
	}
}

static void put_description(const struct html_lines *lines, FILE *file)
{
	html_picture_title(file, lines->name);
	html_text(file, lines->title);
	fputs("</title>\n", file);
	html_picture_description(file, lines->name);
	html_text(file, lines->description);
	for (size_t i = 0; i < lines->line_count; i++) {
		const struct html_line *line = &lines->lines[i];
		char first[32], last[32];

		if (line->count == 0)
			continue;
		words_time(first, sizeof(first), line->points[0].y);
		words_time(last, sizeof(last), line->points[line->count - 1].y);
		fputs(" ", file);
		html_text(file, line->title);
		fprintf(file, ": from %s to %s.", first, last);
	}
	fputs("</desc>\n", file);
}

void html_lines(const struct html_lines *lines, FILE *file)
{
	struct frame frame = frame_of(lines);

	html_picture(file, WIDTH, LEGEND + LEGEND_ROW * legend_rows(lines), lines->name);
	put_description(lines, file);
	put_y_axis(&frame, file);
	put_x_axis(lines, &frame, file);
	for (size_t i = lines->line_count; i-- > 0;) /* ours on top */
		put_line(&lines->lines[i], &frame, file);
	put_legend(lines, file);
	fputs("</svg>\n", file);
}
