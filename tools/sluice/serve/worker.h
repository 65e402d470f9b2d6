/* SPDX-License-Identifier: MIT */
/* An engine with its thread, listeners, connections and cache; workers share nothing mutable. */
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

/* What a worker gets by a reload. */
struct worker_news {
	struct rules *rules;
	struct sluice_tls_context *tls; /* NULL: unchanged */
	int log_fd;                     /* -1: unchanged */
};

/* What all workers share. */
struct server {
	const struct serve_options *options;
	struct docroot docroot; /* has its own lock */
	struct mime *mime;
	struct file_lookup_options lookup;
	char *index_names;              /* into which lookup points */
	struct rules *rules;            /* the initial ones of new workers */
	struct sluice_tls_context *tls; /* all others resume its sessions; NULL: no TLS */
	uint16_t https_port;            /* in redirects */
	struct addresses addresses;
	struct proxy_net *trusted; /* proxies */
	size_t trusted_count;
	struct worker *workers;
	size_t worker_count;
	size_t connections_max; /* of one worker */
	struct request_limits limits;
	const char *failed; /* the file without which a worker could not start, or NULL */
};

/* Messages about failures of one kind. */
struct client_reports {
	uint64_t last;       /* tick of the last one */
	uint64_t unreported; /* failures since then */
};

struct worker_listener {
	struct worker *worker;
	struct sluice_socket *socket;
	int fd; /* -1: owned by the socket */
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

	uint64_t tick; /* seconds, as of the last timer or accept */
	int64_t now;   /* seconds since 1970 */
	char date[HTTPDATE_LENGTH];

	struct link connections;
	size_t connection_count;
	size_t metrics_count; /* of the connections: those of a listener for metrics */
	size_t refused_count; /* of connections over the limit, which get a 503 */
	struct reply *free_replies;
	size_t free_reply_count;
	struct request request; /* being checked */
	struct metrics metrics;
	struct rules *rules;
	struct sluice_tls_context *tls; /* or NULL */
	struct buffer extra;            /* header lines of answers without a file */
	struct buffer target;           /* of the redirect being sent */

	int draining;        /* number of requests to stop */
	size_t accepting;    /* listeners whose last call is outstanding */
	bool ticking;        /* the timer is running */
	uint64_t complained; /* tick of the last message about descriptors */
	struct client_reports handshakes_failed;
	struct client_reports strangers; /* that sent a PROXY header */

	/* Shared by the worker and the thread that started it. */
	pthread_t thread;
	pthread_t starter;
	int error;         /* -errno: why it could not start, or why it ended */
	bool left_behind;  /* its threads hang, and use what all workers share */
	atomic_uint pings; /* that were answered */
	_Atomic(struct worker_news *) news;
	atomic_bool ended; /* the engine has stopped, and is destroyed after the release */
	atomic_bool gone;  /* everything is released, and the thread ends */
	sem_t started;     /* posted once: it accepts connections, or error is set */
	sem_t released;    /* posted once: the engine is no longer used by other threads */
};

/*
 * Starts the thread and waits until it accepts connections. Takes over the descriptors of this
 * index from the set. When the worker ends, the thread that started it gets SIGUSR1, which must be
 * blocked there. 0; or -errno, and there is nothing to join.
 */
int worker_start(struct worker *worker, struct server *server, struct listen_set *set,
		 size_t number);

/*
 * Asks the worker to count a ping, which shows that it does not hang. Any thread, before the
 * release.
 */
void worker_ping(struct worker *worker);

/*
 * Stops accepting, and ends after the pending responses, or at the deadline; called again, ends at
 * once. Any thread, before the release.
 */
void worker_drain(struct worker *worker);

/*
 * Passes new rules, certificates and a new log to the worker, which takes them over and checks all
 * files again. Connections are not affected. Only the thread that started it, before the release.
 */
void worker_reload(struct worker *worker, const struct worker_news *news);

/* Writes the metrics page of all workers; in the worker's thread. */
void worker_write_metrics(struct worker *worker, struct buffer *page);

/* Lets a worker that has ended release everything; SIGUSR1 follows when it is done. */
void worker_release(struct worker *worker);

/* Waits for the thread of a worker that has released everything. 0, or -errno if it failed. */
int worker_join(struct worker *worker);

#endif
