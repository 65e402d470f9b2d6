/* SPDX-License-Identifier: MIT */
#include "serve/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "messages.h"
#include "serve/certificates.h"
#include "serve/connection.h"
#include "serve/reply.h"

#define REFUSALS_MAX 64 /* connections over the limit that get a 503; more are just closed */
#define COMPLAINT_EVERY_S 60

static void read_clocks(struct worker *worker)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	worker->tick = (uint64_t)time.tv_sec;
	clock_gettime(CLOCK_REALTIME, &time);
	if (worker->now != time.tv_sec) {
		worker->now = time.tv_sec;
		httpdate_format(worker->date, worker->now);
	}
	filecache_set_time(worker->cache, worker->tick, worker->now, worker->date);
}

static bool has_connections(const struct worker *worker)
{
	return worker->connection_count + worker->refused_count > 0;
}

/* The next tick is when the date changes. */
static void start_timer(struct worker *worker)
{
	struct timespec time;

	worker->ticking = true;
	clock_gettime(CLOCK_REALTIME, &time);
	sluice_timer_start(worker->engine, &worker->timer, 1000000000 - time.tv_nsec);
}

static void check_connections(struct worker *worker)
{
	struct link *link = worker->connections.next;

	while (link != &worker->connections) {
		struct connection *connection = LINK_OWNER(link, struct connection, link);

		link = link->next;
		connection_check(connection);
	}
}

static void end_connections(struct worker *worker)
{
	while (!list_is_empty(&worker->connections))
		connection_end(LINK_OWNER(worker->connections.next, struct connection, link));
}

static void publish_metrics(struct worker *worker)
{
	struct metrics_counts *counts = &worker->metrics.counts;

	counts->open = worker->connection_count - worker->metrics_count;
	filecache_count(worker->cache, &counts->cache_entries, &counts->cache_looks);
	counts->engine.size = sizeof(counts->engine);
	sluice_engine_statistics(worker->engine, &counts->engine);
	metrics_publish(&worker->metrics);
}

void worker_write_metrics(struct worker *worker, struct buffer *page)
{
	struct server *server = worker->server;
	struct metrics_counts sum = {0};

	publish_metrics(worker);
	for (size_t i = 0; i < server->worker_count; i++)
		metrics_add(&server->workers[i].metrics, &sum);
	metrics_write(page, &sum, server->worker_count);
}

/* Once a second while there are connections, or files in the cache. */
static void on_tick(struct sluice_engine *engine, struct sluice_timer *timer)
{
	struct worker *worker = timer->token;

	read_clocks(worker);
	worker->ticking = false;
	check_connections(worker);
	filecache_expire(worker->cache);
	if (accesslog_is_on(&worker->log))
		accesslog_flush(&worker->log);
	if (worker->metrics.on)
		publish_metrics(worker);
	if (has_connections(worker) || !filecache_is_empty(worker->cache))
		start_timer(worker);
}

/* Accepting */

static void complain(struct worker *worker)
{
	if (worker->complained != 0 && worker->tick - worker->complained < COMPLAINT_EVERY_S)
		return;
	worker->complained = worker->tick;
	messages_complain("out of descriptors: raise the limit with ulimit -n, or lower "
			  "--max-connections or --cache-entries");
}

static void on_accept_error(struct worker *worker, const struct sluice_accepted *accepted)
{
	if (accepted->terminal) {
		worker->accepting--;
		if (worker->draining == 0)
			worker->error = accepted->native_error != 0 ? -accepted->native_error
								    : -EIO;
	} else if (accepted->error == SLUICE_ERROR_TOO_MANY_OPEN_SOCKETS) {
		filecache_empty(worker->cache);
		complain(worker);
	}
}

static void on_accepted(struct sluice_socket *listener, const struct sluice_accepted *accepted,
			void *token)
{
	struct worker_listener *from = token;
	struct worker *worker = from->worker;
	size_t most = worker->server->connections_max;

	if (!worker->ticking) {
		read_clocks(worker);
		start_timer(worker);
	}
	if (accepted->socket != NULL) {
		bool refuse = worker->connection_count >= most;

		worker->metrics.counts.connections += from->kind != LISTEN_METRICS;
		worker->metrics.counts.refused += refuse;
		if (worker->draining > 0 || (refuse && worker->refused_count == REFUSALS_MAX))
			sluice_socket_destroy(accepted->socket);
		else
			connection_begin(worker, accepted->socket, (uint8_t)from->kind, refuse);
	}
	if (accepted->terminal || accepted->error != SLUICE_ERROR_SUCCESS)
		on_accept_error(worker, accepted);
}

static int begin_accepting_at(struct worker *worker, struct worker_listener *listener)
{
	struct sluice_accept_options options = {
		.size = sizeof(options),
		.on_accepted = on_accepted,
		.token = listener,
	};
	int error = sluice_socket_attach(worker->engine, listener->fd, &listener->socket);

	if (error != 0)
		return error;
	listener->fd = -1;
	error = sluice_accept_start(listener->socket, &options);
	worker->accepting += error == 0;
	return error;
}

static int begin_accepting(struct worker *worker)
{
	int error = 0;

	for (size_t i = 0; i < worker->listener_count && error == 0; i++)
		error = begin_accepting_at(worker, &worker->listeners[i]);
	return error;
}

static void stop_accepting(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		if (worker->listeners[i].socket != NULL)
			sluice_socket_destroy(worker->listeners[i].socket);
		worker->listeners[i].socket = NULL;
	}
}

/* Draining */

static void on_drain_over(struct sluice_engine *engine, struct sluice_timer *timer)
{
	end_connections(timer->token);
}

static void drain_here(struct sluice_engine *engine, void *token)
{
	struct worker *worker = token;
	struct link *link = worker->connections.next;

	if (worker->draining++ > 0) {
		end_connections(worker);
		return;
	}
	sluice_timer_start(engine, &worker->drain_timer,
			   (int64_t)worker->server->options->drain_s * 1000000000);
	stop_accepting(worker);
	while (link != &worker->connections) {
		struct connection *connection = LINK_OWNER(link, struct connection, link);

		link = link->next;
		connection_drain(connection);
	}
}

void worker_drain(struct worker *worker)
{
	sluice_post(worker->engine, drain_here, worker);
}

/* Reload: new rules, new certificates and a new log */

static void use_rules(struct worker *worker, struct rules *rules)
{
	filecache_reload(worker->cache, rules);
	rules_release(worker->rules);
	worker->rules = rules;
	worker->extra.length = 0;
	rules_write_headers(rules, (struct span){NULL, 0}, &worker->extra);
}

static void drop_news(struct worker_news *news)
{
	if (news == NULL)
		return;
	rules_release(news->rules);
	certificates_release(news->tls);
	if (news->log_fd >= 0)
		close(news->log_fd);
	free(news);
}

/* Connections that use the old ones keep them alive. */
static void use_certificates(struct worker *worker, struct sluice_tls_context *tls)
{
	certificates_release(worker->tls);
	worker->tls = tls;
}

static void reload_here(struct sluice_engine *engine, void *token)
{
	struct worker *worker = token;
	struct worker_news *news = atomic_exchange(&worker->news, NULL);

	if (news == NULL)
		return;
	use_rules(worker, news->rules);
	if (news->tls != NULL)
		use_certificates(worker, news->tls);
	if (news->log_fd >= 0)
		accesslog_switch(&worker->log, news->log_fd);
	free(news);
}

/* Entries that were not checked since are stale, except if the directory is unchanged. */
static void replace_news(struct worker *worker, struct worker_news *news)
{
	struct worker_news *older = atomic_exchange(&worker->news, NULL);

	if (older != NULL && news->tls == NULL) {
		news->tls = older->tls;
		older->tls = NULL;
	}
	drop_news(older);
	atomic_store(&worker->news, news);
}

void worker_reload(struct worker *worker, const struct worker_news *news)
{
	struct worker_news *copy = malloc(sizeof(*copy));

	if (copy == NULL) {
		rules_release(news->rules);
		certificates_release(news->tls);
		if (news->log_fd >= 0)
			close(news->log_fd);
		messages_complain("reload: %s", strerror(ENOMEM));
		return;
	}
	*copy = *news;
	replace_news(worker, copy);
	if (sluice_post(worker->engine, reload_here, worker) != 0)
		messages_complain("reload: %s", strerror(ENOMEM));
}

static bool is_done(const struct worker *worker)
{
	return worker->error != 0 ||
	       (worker->draining > 0 && worker->accepting == 0 && !has_connections(worker));
}

/* The thread */

static int create_engine(struct worker *worker)
{
	struct sluice_options options;

	sluice_options_init(&options, sizeof(options));
	options.backend = (uint32_t)worker->server->options->backend;
	options.sigpipe_ignored = 1;
	options.trace_path = worker->server->options->trace;
	return sluice_engine_create(&worker->engine, &options);
}

static int create_cache(struct worker *worker)
{
	const struct serve_options *options = worker->server->options;
	struct filecache_options cache_options = {
		.docroot = &worker->server->docroot,
		.mime = worker->server->mime,
		.entries = options->cache_entries,
		.content_bytes = options->cache_file_bytes,
		.revalidate_s = options->revalidate_s,
		.lookup_threads = options->lookup_threads,
		.lookup = worker->server->lookup,
	};

	worker->cache = filecache_create(worker->engine, &cache_options);
	return worker->cache != NULL ? 0 : -ENOMEM;
}

static int start_up(struct worker *worker)
{
	const struct serve_options *options = worker->server->options;
	int error;

	error = accesslog_open(&worker->log, options->access_log, options->access_log_file,
			       options->log_json);
	if (error != 0)
		worker->server->failed = options->access_log_file;
	if (error == 0)
		error = create_engine(worker);
	if (error == 0)
		error = create_cache(worker);
	if (error == 0) {
		use_rules(worker, rules_hold(worker->server->rules));
		read_clocks(worker);
		error = begin_accepting(worker);
	}
	return error;
}

/*
 * Connections are freed by their last handlers, which destroying the engine runs; the cache
 * outlives them.
 */
static void tear_down(struct worker *worker)
{
	end_connections(worker);
	if (worker->cache != NULL) {
		worker->left_behind = filecache_stop_looking(worker->cache) > 0;
		while (filecache_pending(worker->cache) > 0 &&
		       sluice_engine_run(worker->engine, -1) >= 0)
			;
	}
	sluice_engine_destroy(worker->engine);
	worker->engine = NULL;
	filecache_destroy(worker->cache);
	replies_free(worker);
	rules_release(worker->rules);
	certificates_release(worker->tls);
	buffer_dispose(&worker->extra);
	buffer_dispose(&worker->target);
	drop_news(atomic_exchange(&worker->news, NULL));
	accesslog_close(&worker->log);
	for (size_t i = 0; i < worker->listener_count; i++) {
		if (worker->listeners[i].fd >= 0)
			close(worker->listeners[i].fd);
	}
	free(worker->listeners);
}

/* Everything required before the process ends is done. */
static void say_gone(struct worker *worker)
{
	atomic_store(&worker->gone, true);
	pthread_kill(worker->starter, SIGUSR1);
}

static void run(struct worker *worker)
{
	while (!is_done(worker)) {
		int result = sluice_engine_run(worker->engine, -1);

		if (result < 0 && result != -EINTR)
			worker->error = result;
	}
}

static void *worker_thread(void *argument)
{
	struct worker *worker = argument;

	worker->error = start_up(worker);
	if (worker->error != 0) {
		tear_down(worker);
		sem_post(&worker->started);
		return NULL;
	}
	sem_post(&worker->started);
	run(worker);
	atomic_store(&worker->ended, true);
	pthread_kill(worker->starter, SIGUSR1);
	/* The thread that started it may post to the engine until it joins. */
	while (sem_wait(&worker->released) != 0)
		;
	tear_down(worker);
	say_gone(worker);
	return NULL;
}

/* Takes this worker's descriptors out of the set. */
static bool take_listeners(struct worker *worker, struct listen_set *set, size_t number)
{
	worker->listeners = calloc(set->count + 1, sizeof(*worker->listeners));
	if (worker->listeners == NULL)
		return false;
	for (size_t i = 0; i < set->count; i++) {
		struct listen_point *point = &set->points[i];

		if (point->fds[number] < 0)
			continue;
		worker->listeners[worker->listener_count++] = (struct worker_listener){
			.worker = worker, .fd = point->fds[number], .kind = point->kind};
		point->fds[number] = -1;
	}
	return true;
}

int worker_start(struct worker *worker, struct server *server, struct listen_set *set,
		 size_t number)
{
	int error;

	worker->server = server;
	if (!take_listeners(worker, set, number))
		return -ENOMEM;
	worker->starter = pthread_self();
	worker->log.fd = -1;
	worker->timer.expired = on_tick;
	worker->timer.token = worker;
	worker->drain_timer.expired = on_drain_over;
	worker->drain_timer.token = worker;
	list_init(&worker->connections);
	sem_init(&worker->started, 0, 0);
	sem_init(&worker->released, 0, 0);
	error = pthread_create(&worker->thread, NULL, worker_thread, worker);
	if (error != 0) {
		for (size_t i = 0; i < worker->listener_count; i++)
			close(worker->listeners[i].fd);
		free(worker->listeners);
		return -error;
	}
	while (sem_wait(&worker->started) != 0)
		;
	if (worker->error != 0)
		pthread_join(worker->thread, NULL);
	return worker->error;
}

static void ping_here(struct sluice_engine *engine, void *token)
{
	struct worker *worker = token;

	atomic_fetch_add(&worker->pings, 1);
}

void worker_ping(struct worker *worker)
{
	sluice_post(worker->engine, ping_here, worker);
}

void worker_release(struct worker *worker)
{
	sem_post(&worker->released);
}

int worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	sem_destroy(&worker->started);
	sem_destroy(&worker->released);
	metrics_dispose(&worker->metrics);
	return worker->error;
}
