/* SPDX-License-Identifier: MIT */
/*
 * Reads again what the daemon read at its start: the directory, its rules, its certificates, and
 * the log. This happens in a thread without anything waiting for it: the file system may hang.
 */
#ifndef SLUICE_COMMAND_SERVE_RELOAD_H
#define SLUICE_COMMAND_SERVE_RELOAD_H

#include "serve/setup.h"

enum reload_state {
	RELOAD_IDLE,
	RELOAD_READING,
	RELOAD_DONE,
};

struct reload {
	struct server *server;
	size_t workers;
	pthread_t starter; /* is sent SIGUSR1 when done */
	atomic_int state;  /* an enum reload_state */
	bool again;        /* requested again meanwhile */

	/* The result; ownership passes to the workers. */
	struct rules *rules;             /* NULL: an error occurred, and nothing changes */
	struct sluice_tls_context **tls; /* one per worker; NULL: unchanged */
	int log_fds[WORKERS_MAX];
};

void reload_init(struct reload *reload, struct server *server, size_t workers);

/* Starts; if already running, once more afterwards. */
void reload_begin(struct reload *reload);

bool reload_is_done(const struct reload *reload);

/* Takes the part for one worker out of the result. */
struct worker_news reload_take(struct reload *reload, size_t worker);

/* Frees the rest of the result, and starts again if requested. */
void reload_finish(struct reload *reload);

/* Whether no thread is reading any more. */
bool reload_is_over(struct reload *reload);

#endif
