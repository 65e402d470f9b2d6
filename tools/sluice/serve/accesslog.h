/* SPDX-License-Identifier: MIT */
/*
 * The access log, in the combined format that log analysers know, or as a JSON object a line. Lines are collected and written
 * once a second, or when there are many, by a thread of their own: where nothing reads them, some
 * are dropped and counted, and no answer waits.
 */
#ifndef SLUICE_COMMAND_SERVE_ACCESSLOG_H
#define SLUICE_COMMAND_SERVE_ACCESSLOG_H

#include <stdint.h>

#include "serve/request.h"

struct accesslog {
	int fd; /* -1: no log */
	bool json;
	struct writer *writer;
	char *lines;
	size_t length;
};

/* The file, opened so that nothing waits for a reader; -errno. */
int accesslog_open_file(const char *file);

/*
 * Goes on in another file, whose descriptor it takes over. What waits for the old one is written to
 * it by a thread that nothing waits for.
 */
void accesslog_switch(struct accesslog *log, int fd);

/* 0 or -errno. file is NULL for the standard output; without wanted there is no log. */
int accesslog_open(struct accesslog *log, bool wanted, const char *file, bool json);
void accesslog_close(struct accesslog *log);

static inline bool accesslog_is_on(const struct accesslog *log)
{
	return log->fd >= 0;
}

/*
 * The line of a request, but for the bytes; from malloc, or NULL. The client is
 * named, or else its socket names it.
 * request is NULL when there was none that could be read.
 */
char *accesslog_prepare(const struct accesslog *log, int socket_fd, const char *client,
			const struct request *request, int status, int64_t now);

/* Adds a prepared line with the bytes of the body that were sent, and frees it. NULL is allowed. */
void accesslog_add(struct accesslog *log, char *line, uint64_t body_bytes);

void accesslog_flush(struct accesslog *log);

#endif
