/* SPDX-License-Identifier: MIT */
/* One engine with its thread, its listener, its connections and its cache; workers share nothing. */
#ifndef SLUICE_COMMAND_SERVE_WORKER_H
#define SLUICE_COMMAND_SERVE_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <sluice/sluice.h>
#include <stdatomic.h>

#include "buffer.h"
#include "serve/accesslog.h"
#include "serve/addresses.h"
#include "serve/docroot.h"
#include "serve/filecache.h"
#include "serve/listenset.h"
#include "serve/metrics.h"
#include "serve/mime.h"
#include "serve/request.h"
#include "serve/rules.h"
#include "serve/serve.h"

struct reply;
struct sluice_tls_context;

/* What a worker gets when the daemon has read its files again. */
struct worker_news {
	struct rules *rules;
	struct sluice_tls_context *tls; /* NULL: the certificates stay */
	int log_fd;                     /* -1: the log stays */
};

/* What all workers share. */
struct server {
	const struct serve_options *options;
	struct docroot docroot; /* which has a lock */
	struct mime *mime;
	struct load_options load;
	char *index_names;              /* what load points into */
	struct rules *rules;            /* what new workers begin with */
	struct sluice_tls_context *tls; /* which resumes the sessions of all others; NULL: no TLS */
	uint16_t https_port;            /* that redirects name */
	struct addresses addresses;
	struct proxy_net *trusted; /* proxies */
	size_t trusted_count;
	struct worker *workers;
	size_t worker_count;
	size_t connections_max; /* of one worker */
	struct request_limits limits;
	const char *failed; /* the file without which a worker could not start, or NULL */
};

struct worker_listener {
	struct worker *worker;
	struct sluice_socket *socket;
	int fd; /* -1: the socket has it */
	enum listen_kind kind;
};

struct worker {
	struct server *server;
	struct sluice_engine *engine;
	struct worker_listener *listeners;
	size_t listener_count;
	struct sluice_timer timer;
	struct sluice_timer drain_timer;
	struct filecache *cache;
	struct accesslog log;

	uint64_t tick; /* seconds, as old as the last timer or accept */
	int64_t now;   /* seconds since 1970 */
	char date[HTTPDATE_LENGTH];

	struct link connections;
	size_t connection_count;
	size_t metrics_count; /* of the connections: those of a listener for metrics */
	size_t refused_count; /* of connections beside them, that are being told so */
	struct reply *free_replies;
	size_t free_reply_count;
	struct request request; /* the one being looked at */
	struct metrics metrics;
	struct rules *rules;
	struct sluice_tls_context *tls; /* or NULL */
	struct buffer extra;            /* lines of headers of answers without a file */
	struct buffer target;           /* of the redirect that is being answered */

	int draining;                   /* how often it was told to */
	size_t accepting;               /* listeners whose last call is to come */
	bool ticking;                   /* the timer runs */
	uint64_t complained;            /* tick of the last complaint about descriptors */
	uint64_t handshake_reported;    /* tick of the last message about one that failed */
	uint64_t handshakes_unreported; /* that have failed since then */

	/* Between the worker and the thread that started it. */
	pthread_t thread;
	pthread_t starter;
	int error;         /* -errno: why it could not start, or why it ended */
	bool left_behind;  /* threads of its hang, and use what all workers share */
	atomic_uint pings; /* that it has answered */
	_Atomic(struct worker_news *) news;
	atomic_bool ended; /* the engine stands still, and is destroyed after the release */
	atomic_bool gone;  /* everything is given back, and the thread ends */
	sem_t started;     /* posted once: it accepts connections, or error tells */
	sem_t released;    /* posted once: nobody else looks at the engine any more */
};

/*
 * Starts the thread and waits until it accepts connections. Takes the descriptors of this number over
 * out of the set. When the worker ends, the thread that started it gets SIGUSR1, which it has to have
 * blocked. 0 or -errno, then there is nothing to join.
 */
int worker_start(struct worker *worker, struct server *server, struct listen_set *set,
		 size_t number);

/* Has the worker count one more ping, which it does unless it hangs. Any thread, before the release. */
void worker_ping(struct worker *worker);

/*
 * Stops accepting, and ends when what is being sent is sent, or after the limit; told again, ends
 * at once. Any thread, before the release.
 */
void worker_drain(struct worker *worker);

/*
 * Gives the worker new rules, certificates and a new log, which it takes over, and has it look at all
 * files again. No connection is touched. The thread that started it, before the release.
 */
void worker_reload(struct worker *worker, const struct worker_news *news);

/* Writes the page of metrics of all workers; in the worker's thread. */
void worker_write_metrics(struct worker *worker, struct buffer *page);

/* Lets a worker that has ended give everything back; SIGUSR1 comes when it is gone. */
void worker_release(struct worker *worker);

/* Waits for the thread of a worker that is gone. 0, or -errno when it failed. */
int worker_join(struct worker *worker);

#endif
