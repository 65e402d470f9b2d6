/* SPDX-License-Identifier: MIT */
#include "transfer/progress.h"

#include <inttypes.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define SECOND_NS UINT64_C(1000000000)
#define DRAW_NS (SECOND_NS / 10) /* how often the bar is drawn */
#define BAR_LEAST 10             /* columns; a narrower terminal gets no bar */
#define BAR_MOST 40
#define NAME_LEAST 12

/* ---- the texts ---- */

void progress_size(uint64_t bytes, char ret_text[PROGRESS_TEXT])
{
	static const char units[] = "KMGTPE";
	uint64_t whole = bytes, tenths = 0;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(ret_text, PROGRESS_TEXT, "%" PRIu64 " B", bytes);
		return;
	}
	do {
		tenths = (whole % 1024) * 10 / 1024;
		whole /= 1024;
		unit++;
	} while (whole >= 1024);
	if (whole >= 100)
		snprintf(ret_text, PROGRESS_TEXT, "%" PRIu64 " %ciB", whole, units[unit - 1]);
	else
		snprintf(ret_text, PROGRESS_TEXT, "%" PRIu64 ".%" PRIu64 " %ciB", whole, tenths,
			 units[unit - 1]);
}

void progress_time(uint64_t seconds, char ret_text[PROGRESS_TEXT])
{
	uint64_t hours = seconds / 3600, minutes = seconds / 60 % 60;

	if (seconds == UINT64_MAX)
		snprintf(ret_text, PROGRESS_TEXT, "-:--");
	else if (hours >= 1000)
		snprintf(ret_text, PROGRESS_TEXT, "%" PRIu64 " days", hours / 24);
	else if (hours > 0)
		snprintf(ret_text, PROGRESS_TEXT, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, hours,
			 minutes, seconds % 60);
	else
		snprintf(ret_text, PROGRESS_TEXT, "%" PRIu64 ":%02" PRIu64, minutes, seconds % 60);
}

uint64_t progress_left(uint64_t done, uint64_t total, uint64_t rate)
{
	if (total == UINT64_MAX || rate == 0)
		return UINT64_MAX;
	return done >= total ? 0 : (total - done + rate - 1) / rate;
}

static unsigned per_cent(uint64_t done, uint64_t total)
{
	if (done >= total)
		return 100;
	return (unsigned)((double)done * 100 / (double)total);
}

/* ---- columns ---- */

static locale_t unicode;

/* The locale of the process may be limited to ASCII. */
static void open_locale(void)
{
	unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (unicode == (locale_t)0)
		unicode = newlocale(LC_CTYPE_MASK, "en_US.UTF-8", (locale_t)0);
}

/* Columns of a character on a terminal; if unknown, the largest possible number. */
static size_t columns_of_code(uint32_t code)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	locale_t before;
	int columns = -1;

	if (code < 0x80)
		return 1;
	pthread_once(&once, open_locale);
	if (unicode != (locale_t)0) {
		before = uselocale(unicode);
		columns = wcwidth((wchar_t)code);
		uselocale(before);
	}
	if (columns >= 0)
		return (size_t)columns;
	return code < 0x1100 ? 1 : 2;
}

/* The bytes and columns of the character at the start of printable UTF-8. */
static size_t step(const char *name, size_t *ret_columns)
{
	const unsigned char *at = (const unsigned char *)name;
	size_t bytes = 1;
	uint32_t code = at[0];

	if (code >= 0xc0)
		code &= code < 0xe0 ? 0x1f : code < 0xf0 ? 0xf : 0x7;
	while ((at[bytes] & 0xc0) == 0x80)
		code = code << 6 | (at[bytes++] & 0x3f);
	*ret_columns = columns_of_code(code);
	return bytes;
}

size_t progress_columns(const char *name)
{
	size_t columns = 0, part;

	for (; *name != '\0'; columns += part)
		name += step(name, &part);
	return columns;
}

/*
 * Truncates a name to so many columns, with dots at its end. Returns its bytes and its columns: one
 * may remain because of a wide character.
 */
static size_t fit_name(char *line, const char *name, size_t columns, size_t *ret_columns)
{
	bool whole = progress_columns(name) <= columns;
	size_t most = whole ? columns : columns - 2;
	size_t length = 0, used = 0, part;

	while (name[length] != '\0') {
		size_t bytes = step(name + length, &part);

		if (used + part > most)
			break;
		memcpy(line + length, name + length, bytes);
		used += part;
		length += bytes;
	}
	if (!whole) {
		memcpy(line + length, "..", 2);
		length += 2;
		used += 2;
	}
	*ret_columns = used;
	return length;
}

static size_t draw_bar(char *line, size_t width, uint64_t done, uint64_t total)
{
	size_t full = per_cent(done, total) * (width - 2) / 100;

	line[0] = '[';
	memset(line + 1, '#', full);
	memset(line + 1 + full, '.', width - 2 - full);
	line[width - 1] = ']';
	return width;
}

/* The text after the bar. */
static int describe(char *text, size_t space, uint64_t done, uint64_t total, uint64_t rate)
{
	char size[PROGRESS_TEXT], speed[PROGRESS_TEXT], time[PROGRESS_TEXT];

	progress_size(done, size);
	progress_size(rate, speed);
	progress_time(progress_left(done, total, rate), time);
	if (total == UINT64_MAX)
		return snprintf(text, space, " %s %s/s", size, speed);
	return snprintf(text, space, " %3u%% %s %s/s %s", per_cent(done, total), size, speed, time);
}

void progress_line(char ret_line[PROGRESS_LINE], size_t columns, const char *name, uint64_t done,
		   uint64_t total, uint64_t rate)
{
	char text[4 * PROGRESS_TEXT];
	size_t behind = (size_t)describe(text, sizeof(text), done, total, rate);
	size_t length, named, space;

	if (columns > PROGRESS_LINE / 4)
		columns = PROGRESS_LINE / 4;
	if (columns < behind + NAME_LEAST) {
		/* Too narrow for more than the figures. */
		snprintf(ret_line, PROGRESS_LINE, "%.*s", (int)columns, text + 1);
		return;
	}
	space = columns - behind;
	named = progress_columns(name);
	if (named > space)
		named = space;
	if (total != UINT64_MAX && space >= NAME_LEAST + 1 + BAR_LEAST &&
	    named > space - 1 - BAR_LEAST)
		named = space - 1 - BAR_LEAST;
	length = fit_name(ret_line, name, named, &named);
	space -= named;
	if (total != UINT64_MAX && space >= 1 + BAR_LEAST) {
		ret_line[length++] = ' ';
		length += draw_bar(ret_line + length, space - 1 < BAR_MOST ? space - 1 : BAR_MOST,
				   done, total);
	}
	memcpy(ret_line + length, text, behind + 1);
}

#define LIMIT_LEAST_NS UINT64_C(100000000) /* the kernel measures in ticks of some milliseconds */

void progress_limit(const struct progress_times *times, char ret_text[PROGRESS_LIMIT])
{
	uint64_t busy = times->busy < times->spent ? times->busy : times->spent;
	uint64_t limited = times->receiver + times->send_buffer;
	const struct {
		uint64_t spent;
		const char *words;
	} causes[] = {
		{times->receiver, "limited by the receiver's window"},
		{times->send_buffer, "limited by the send buffer"},
		{busy > limited ? busy - limited : 0, "limited by the network"},
		{times->spent - busy, "spent waiting for data or answers"},
	};
	size_t most = 0;
	uint64_t percent;

	ret_text[0] = '\0';
	if (times->spent < LIMIT_LEAST_NS || times->busy == 0)
		return;
	for (size_t i = 1; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (causes[i].spent > causes[most].spent)
			most = i;
	}
	percent = (uint64_t)((double)causes[most].spent * 100 / (double)times->spent + 0.5);
	snprintf(ret_text, PROGRESS_LIMIT, "%u %% of the time %s",
		 percent < 100 ? (unsigned int)percent : 100, causes[most].words);
}

/* ---- the meter ---- */

void progress_begin(struct progress *progress, bool quiet, const char *name, uint64_t from,
		    uint64_t total, uint64_t now_ns)
{
	*progress = (struct progress){
		.on = !quiet && isatty(STDERR_FILENO),
		.total = total,
		.from = from,
		.begun_ns = now_ns,
		.marked_ns = now_ns,
		.marked = from,
	};
	snprintf(progress->name, sizeof(progress->name), "%s", name);
}

static void take_rate(struct progress *progress, uint64_t done, uint64_t now_ns)
{
	uint64_t spent = now_ns - progress->marked_ns;
	uint64_t rate;

	if (spent < SECOND_NS / 10 || done < progress->marked)
		return;
	rate = (uint64_t)((double)(done - progress->marked) * 1e9 / (double)spent);
	progress->rate = progress->rate == 0 ? rate : (progress->rate * 7 + rate) / 8;
	progress->marked = done;
	progress->marked_ns = now_ns;
}

static size_t terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t now_ns)
{
	char line[PROGRESS_LINE];

	take_rate(progress, done, now_ns);
	if (!progress->on || (progress->shown && now_ns - progress->drawn_ns < DRAW_NS))
		return;
	progress->drawn_ns = now_ns;
	progress_line(line, terminal_columns() - 1, progress->name, done, progress->total,
		      progress->rate);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
	progress->shown = true;
}

void progress_clear(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}

uint64_t progress_rate(const struct progress *progress, uint64_t done, uint64_t now_ns)
{
	uint64_t spent = now_ns - progress->begun_ns;

	return spent == 0 ? 0 : (uint64_t)((double)(done - progress->from) * 1e9 / (double)spent);
}
