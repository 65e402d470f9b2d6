/* SPDX-License-Identifier: MIT */
/*
 * The access log, in the combined format or as one JSON object per line. Lines are collected, and
 * written by a separate thread once a second, or earlier if there are many. If they cannot be
 * written, some are dropped and counted; no response waits for the log.
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

/* Opens the file without waiting for a reader; -errno. */
int accesslog_open_file(const char *file);

/*
 * Switches to another file, whose descriptor it takes over. A detached thread writes what is
 * buffered for the old one.
 */
void accesslog_switch(struct accesslog *log, int fd);

/* 0 or -errno. file is NULL for the standard output; without wanted, nothing is logged. */
int accesslog_open(struct accesslog *log, bool wanted, const char *file, bool json);
void accesslog_close(struct accesslog *log);

static inline bool accesslog_is_on(const struct accesslog *log)
{
	return log->fd >= 0;
}

/*
 * Formats the line of a request, except the byte count; from malloc, or NULL. The client is named,
 * or is the peer of the socket. request is NULL if none could be read.
 */
char *accesslog_prepare(const struct accesslog *log, int socket_fd, const char *client,
			const struct request *request, int status, int64_t now);

/* Adds a prepared line with the number of body bytes sent, and frees it. NULL is allowed. */
void accesslog_add(struct accesslog *log, char *line, uint64_t body_bytes);

void accesslog_flush(struct accesslog *log);

#endif
