/* SPDX-License-Identifier: MIT */
/*
 * Reads again what the daemon read when it started: the directory, its rules, its certificates, and
 * the log's name. A thread does so, which nothing waits for: the file system may hang.
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
	pthread_t starter; /* gets SIGUSR1 when it is done */
	atomic_int state;  /* an enum reload_state */
	bool again;        /* it was asked for meanwhile */

	/* The result; its owner takes it out. */
	struct rules *rules;             /* NULL: something was wrong, and everything stays */
	struct sluice_tls_context **tls; /* one for each worker; NULL: they stay */
	int log_fds[WORKERS_MAX];
};

void reload_init(struct reload *reload, struct server *server, size_t workers);

/* Begins; if it is on its way already, once more behind that. */
void reload_begin(struct reload *reload);

bool reload_is_done(const struct reload *reload);

/* Takes what is for one worker out of the result. */
struct worker_news reload_take(struct reload *reload, size_t worker);

/* Frees what is left of the result, and begins again if that was asked for. */
void reload_finish(struct reload *reload);

/* Whether no thread is reading any more. */
bool reload_is_over(struct reload *reload);

#endif
