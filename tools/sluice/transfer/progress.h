/* SPDX-License-Identifier: MIT */
/* How far a transfer is: a bar that is written anew on a terminal, or a line at the end. */
#ifndef SLUICE_COMMAND_TRANSFER_PROGRESS_H
#define SLUICE_COMMAND_TRANSFER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the texts: no system call ---- */

#define PROGRESS_TEXT 24
#define PROGRESS_LINE 1024

/* "0 B", "999 B", "1.0 KiB", "12.3 MiB", "1023 GiB" */
void progress_size(uint64_t bytes, char ret_text[PROGRESS_TEXT]);

/* "0:07", "12:34", "1:02:03"; "-:--" where it is not known (UINT64_MAX). */
void progress_time(uint64_t seconds, char ret_text[PROGRESS_TEXT]);

/* Seconds that the rest takes at this rate; UINT64_MAX: not known. */
uint64_t progress_left(uint64_t done, uint64_t total, uint64_t rate);

/*
 * A line of so many columns at most: the name, a bar, per cent, the rate and the time left; without
 * a total (UINT64_MAX) what is done and the rate. The name is one that may be shown.
 */
void progress_line(char ret_line[PROGRESS_LINE], size_t columns, const char *name, uint64_t done,
		   uint64_t total, uint64_t rate);

/* Columns that a name takes on a terminal. */
size_t progress_columns(const char *name);

/* What a connection's time went to, in nanoseconds. */
struct progress_times {
	uint64_t spent;       /* all of it */
	uint64_t busy;        /* with something to send or to be acknowledged */
	uint64_t receiver;    /* of it: the receiver's window was full */
	uint64_t send_buffer; /* of it: the send buffer was */
};

#define PROGRESS_LIMIT 96

/*
 * What limited the connection for most of the time, in words: "87 % of the time limited by the
 * receiver's window". "" if it was too short for a figure, or the kernel knows nothing.
 */
void progress_limit(const struct progress_times *times, char ret_text[PROGRESS_LIMIT]);

/* ---- the meter ---- */

struct progress {
	bool on;        /* a bar is shown */
	bool shown;     /* and stands on the line */
	char name[256]; /* as it may be shown */
	uint64_t total; /* UINT64_MAX: not known */
	uint64_t from;  /* where it began: what was there before has no rate */
	uint64_t begun_ns;
	uint64_t drawn_ns;  /* when the bar was drawn last */
	uint64_t marked_ns; /* when the rate was taken last */
	uint64_t marked;    /* and how much was done then */
	uint64_t rate;      /* bytes a second, smoothed */
};

/* on: whether the standard error is a terminal, unless quiet. */
void progress_begin(struct progress *progress, bool quiet, const char *name, uint64_t from,
		    uint64_t total, uint64_t now_ns);
/* Draws the bar, ten times a second at most: may be called as often as you like. */
void progress_show(struct progress *progress, uint64_t done, uint64_t now_ns);
/* Takes the bar away, so that something else may be written. */
void progress_clear(struct progress *progress);
/* Bytes a second over all of it. */
uint64_t progress_rate(const struct progress *progress, uint64_t done, uint64_t now_ns);

#endif
