/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: for each address, each worker has one, or a copy of one that cannot be shared.
 */
#ifndef SLUICE_COMMAND_SERVE_LISTENSET_H
#define SLUICE_COMMAND_SERVE_LISTENSET_H

#include <stdbool.h>

#include "serve/listener.h"

#define LISTEN_POINTS_MAX 32

/* What is served to clients of a listener. */
enum listen_kind {
	LISTEN_FILES,
	LISTEN_TLS,      /* files, over TLS */
	LISTEN_REDIRECT, /* redirects to https */
	LISTEN_METRICS,  /* by the first worker only */
	LISTEN_KINDS,
};

struct listen_point {
	struct listen_address address;
	enum listen_kind kind;
	bool made;      /* a path in the file system, removed at the end */
	bool inherited; /* passed by the process that started this one */
	int *fds;       /* one for each worker, or -1: taken over */
};

struct listen_set {
	struct listen_point points[LISTEN_POINTS_MAX];
	size_t count;
	size_t workers;
};

/*
 * Adds the addresses of a text: "ADDRESS", "ADDRESS:PORT", "[ADDRESS]:PORT", "unix:PATH", or a name
 * with all its addresses. NULL, or an error message.
 */
const char *listen_set_add(struct listen_set *set, const char *text, uint16_t port,
			   enum listen_kind kind);

/* For all addresses of one kind, adds another port, as another kind. NULL, or an error message. */
const char *listen_set_add_port(struct listen_set *set, enum listen_kind of, uint16_t port,
				enum listen_kind kind);

/* If there is an address of this kind. */
bool listen_set_has(const struct listen_set *set, enum listen_kind kind);

/* The port of the first address of this kind that has one; 0: none has. */
uint16_t listen_set_port(const struct listen_set *set, enum listen_kind kind);

/*
 * Adds the sockets that systemd's protocol passes (LISTEN_FDS): of this kind, unless LISTEN_FDNAMES
 * calls them https, redirect or metrics. How many of this kind; or -errno, and what to do about it.
 */
int listen_set_inherit(struct listen_set *set, enum listen_kind kind, const char **ret_hint);

/*
 * Opens all addresses, for this many workers. Port 0 is replaced by one that the kernel chose, the
 * same for all addresses of a name. If a port is in use, retries for two seconds: a killed process
 * may hold it a moment longer. 0; or -errno, and ret_wrong is what could not be opened.
 */
int listen_set_open(struct listen_set *set, size_t workers, struct listen_point **ret_wrong);

/* Closes what was not taken over, and removes what was created. */
void listen_set_close(struct listen_set *set);

#endif
