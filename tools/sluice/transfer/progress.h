/* SPDX-License-Identifier: MIT */
/* Progress of a transfer: a bar that is redrawn on a terminal, and a line at the end. */
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

/* "0:07", "12:34", "1:02:03"; "-:--" if unknown (UINT64_MAX). */
void progress_time(uint64_t seconds, char ret_text[PROGRESS_TEXT]);

/* Seconds left at this rate; UINT64_MAX: unknown. */
uint64_t progress_left(uint64_t done, uint64_t total, uint64_t rate);

/*
 * A line of at most so many columns: the name, a bar, the percentage, the rate and the time left;
 * if the total is unknown (UINT64_MAX), the bytes done and the rate. The name must be displayable.
 */
void progress_line(char ret_line[PROGRESS_LINE], size_t columns, const char *name, uint64_t done,
		   uint64_t total, uint64_t rate);

/* Columns of a name on a terminal. */
size_t progress_columns(const char *name);

/* How a connection's time was spent, in nanoseconds. */
struct progress_times {
	uint64_t spent;       /* all of it */
	uint64_t busy;        /* with data to send or unacknowledged */
	uint64_t receiver;    /* of it: limited by the receiver's window */
	uint64_t send_buffer; /* of it: limited by the send buffer */
};

#define PROGRESS_LIMIT 96

/*
 * What limited the connection for most of the time: "87 % of the time limited by the receiver's
 * window". "" if the time was too short, or the kernel does not report it.
 */
void progress_limit(const struct progress_times *times, char ret_text[PROGRESS_LIMIT]);

/* ---- the meter ---- */

struct progress {
	bool on;        /* the bar is enabled */
	bool shown;     /* and currently displayed */
	char name[256]; /* displayable */
	uint64_t total; /* UINT64_MAX: unknown */
	uint64_t from;  /* where this transfer started: earlier bytes do not count for the rate */
	uint64_t begun_ns;
	uint64_t drawn_ns;  /* when the bar was last drawn */
	uint64_t marked_ns; /* when the rate was last computed */
	uint64_t marked;    /* and bytes done by then */
	uint64_t rate;      /* smoothed, in bytes per second */
};

/* on: whether the standard error is a terminal, unless quiet. */
void progress_begin(struct progress *progress, bool quiet, const char *name, uint64_t from,
		    uint64_t total, uint64_t now_ns);
/* Draws the bar, at most ten times a second: may be called at any rate. */
void progress_show(struct progress *progress, uint64_t done, uint64_t now_ns);
/* Erases the bar, so that something else can be printed. */
void progress_clear(struct progress *progress);
/* Average bytes per second. */
uint64_t progress_rate(const struct progress *progress, uint64_t done, uint64_t now_ns);

#endif
