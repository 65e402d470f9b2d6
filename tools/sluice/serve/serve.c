/* SPDX-License-Identifier: MIT */
/* `sluice serve`: starts the workers, waits for signals, ends the workers. */
#include "serve/serve.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "messages.h"
#include "options.h"
#include "serve/certificates.h"
#include "serve/listenset.h"
#include "serve/notify.h"
#include "serve/reload.h"
#include "serve/setup.h"
#include "serve/site.h"
#include "serve/worker.h"

#define DESCRIPTORS_RESERVED 16 /* apart from connections and cached files, and as many */
#define DESCRIPTORS_WORKER 16   /* again for each worker */
#define NS_PER_S 1000000000

/* How long the end may take beyond --drain, before the process exits despite hanging threads. */
#define GRACE_S 2
#define TEAR_DOWN_S 5
#define AT_ONCE_S 1

struct service {
	struct serve_options options;
	struct server server;
	struct listen_set listeners;
	int64_t alive_ns;   /* between two watchdog notifications; 0: none */
	unsigned int pings; /* sent to each worker */
	struct worker *workers;
	size_t worker_count;             /* that run */
	struct sluice_tls_context **tls; /* the server's own, then one per worker; or NULL */
	struct reload reload;
	int64_t deadline_ns; /* for the end; 0: not set */
	unsigned int asked;  /* signals that requested the end */
	bool left_behind;    /* threads hang */
	bool released;       /* the workers' engines may be gone */
};

/* The limit of descriptors; raises the soft limit to the hard one. */
static size_t raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < INT_MAX ? (size_t)limit.rlim_cur : INT_MAX;
}

/*
 * Divides the descriptors: the caches get at most a quarter, and connections are refused before
 * descriptors run out.
 */
static void share_descriptors(struct service *service)
{
	struct serve_options *options = &service->options;
	size_t reserved = DESCRIPTORS_RESERVED + DESCRIPTORS_WORKER * options->workers;
	size_t all = raise_descriptors(), cached, available;

	cached = options->cache_entries * options->workers;
	if (cached > all / 4)
		cached = all / 4;
	options->cache_entries = cached / options->workers > 0 ? cached / options->workers : 1;
	available = all > cached + reserved ? all - cached - reserved : 1;
	if (options->max_connections == 0 || options->max_connections > available)
		options->max_connections = available;
	service->server.connections_max =
		(options->max_connections + options->workers - 1) / options->workers;
}

static int open_directory(struct service *service)
{
	const char *directory = service->options.directory;
	int error =
		docroot_open(&service->server.docroot, directory, service->options.revalidate_s);

	if (error == -ENOTDIR)
		return setup_fail(directory, error, "give the directory that contains it");
	if (error != 0)
		return setup_fail(directory, error, "");
	return EXIT_OK;
}

static int add_metrics(struct service *service)
{
	const char *metrics = service->options.metrics;
	const char *wrong = NULL;

	if (metrics != NULL)
		wrong = listen_set_add(&service->listeners, metrics, 0, LISTEN_METRICS);
	if (wrong == NULL)
		return EXIT_OK;
	options_complain_of("serve", metrics, "--metrics=%s: %s", metrics, wrong);
	return EXIT_USAGE;
}

static int add_redirects(struct service *service)
{
	const char *redirect = service->options.redirect_http;
	const char *wrong = NULL;
	uint64_t port;

	if (redirect == NULL || service->options.tls_certs.count == 0)
		return EXIT_OK;
	if (!options_read_size(redirect, false, &port) || port > UINT16_MAX)
		wrong = "not a port";
	else
		wrong = listen_set_add_port(&service->listeners, LISTEN_TLS, (uint16_t)port,
					    LISTEN_REDIRECT);
	if (wrong == NULL)
		return EXIT_OK;
	options_complain_of("serve", redirect, "--redirect-http=%s: %s", redirect, wrong);
	return EXIT_USAGE;
}

static int add_listeners(struct service *service)
{
	const struct serve_options *options = &service->options;
	const struct option_list *binds = &options->binds;
	static const char *const usual[] = {"127.0.0.1"};
	enum listen_kind kind = options->tls_certs.count > 0 ? LISTEN_TLS : LISTEN_FILES;
	const char *hint = "";
	int inherited = options->check ? 0 : listen_set_inherit(&service->listeners, kind, &hint);
	int code = EXIT_OK;

	if (inherited < 0)
		return setup_fail("LISTEN_FDS", inherited, hint);
	for (size_t i = 0; i < (binds->count > 0 ? binds->count : inherited == 0); i++) {
		const char *bind = binds->count > 0 ? binds->values[i] : usual[0];
		const char *wrong =
			listen_set_add(&service->listeners, bind, (uint16_t)options->port, kind);

		if (wrong == NULL)
			continue;
		options_complain_of("serve", bind, "--bind=%s: %s", bind, wrong);
		code = EXIT_USAGE;
	}
	if (code == EXIT_OK)
		code = add_redirects(service);
	return setup_first(code, add_metrics(service));
}

static int open_listeners(struct service *service)
{
	struct listen_point *point = NULL;
	int error = listen_set_open(&service->listeners, service->options.workers, &point);
	char what[300];

	if (error == 0) {
		service->server.https_port =
			service->options.https_port > 0
				? (uint16_t)service->options.https_port
				: listen_set_port(&service->listeners, LISTEN_TLS);
		return EXIT_OK;
	}
	listen_text(&point->address, what, sizeof(what));
	if (error == -EADDRINUSE)
		return setup_fail(what, error, "choose another with --port, or 0 for a free one");
	if (error == -EACCES)
		return setup_fail(what, error,
				  "ports below 1024 require root: choose another with --port");
	if (error == -EADDRNOTAVAIL)
		return setup_fail(what, error, "choose an address of this machine with --bind");
	return setup_fail(what, error, "");
}

/* Everything that needs privileges is open: drops them. */
static int become_user(const struct serve_options *options)
{
	const struct passwd *user;

	if (options->user == NULL)
		return EXIT_OK;
	errno = 0;
	user = getpwnam(options->user);
	if (user == NULL) {
		options_complain_of("serve", options->user, "--user=%s: no such user",
				    options->user);
		return EXIT_USAGE;
	}
	if (user->pw_uid == getuid() && user->pw_gid == getgid())
		return EXIT_OK;
	if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
	    setuid(user->pw_uid) != 0)
		return setup_fail(options->user, -errno, "only root can switch to another user");
	return EXIT_OK;
}

static int start_failed(const struct server *server, int error)
{
	if (server->failed != NULL)
		return setup_fail(server->failed, error, "");
	if (error == -ENOSYS || error == -EPERM || error == -EOPNOTSUPP)
		return setup_fail("the engine", error, "see 'sluice probe', or use --backend=auto");
	if (error == -EMFILE || error == -ENOMEM)
		return setup_fail("the engine", error, "raise the limit with ulimit -n or -l");
	return setup_fail("the worker", error, "");
}

/* Reads them before become_user() drops privileges. */
static int read_certificates(struct service *service)
{
	const struct serve_options *options = &service->options;

	if (options->tls_certs.count == 0 || options->tls_certs.count != options->tls_keys.count)
		return EXIT_OK;
	service->tls = certificates_read(options, NULL, options->check ? 1 : options->workers + 1);
	if (service->tls == NULL)
		return EXIT_FAILED;
	service->server.tls = service->tls[0];
	return EXIT_OK;
}

static struct sluice_tls_context *take_certificates(struct service *service, size_t number)
{
	struct sluice_tls_context *taken = service->tls != NULL ? service->tls[number] : NULL;

	if (taken != NULL)
		service->tls[number] = NULL;
	return taken;
}

static void release_certificates(struct service *service)
{
	size_t count = service->options.check ? 1 : service->options.workers + 1;

	for (size_t i = 0; service->tls != NULL && i < count; i++)
		certificates_release(service->tls[i]);
	free(service->tls);
}

static int start_workers(struct service *service)
{
	const struct serve_options *options = &service->options;
	bool watched = listen_set_has(&service->listeners, LISTEN_METRICS);
	int code = open_listeners(service), error = 0;

	if (code == EXIT_OK)
		code = become_user(options);
	if (code != EXIT_OK)
		return code;
	service->workers = calloc(options->workers, sizeof(*service->workers));
	if (service->workers == NULL)
		error = -ENOMEM;
	service->server.workers = service->workers;
	for (size_t i = 0; i < options->workers && error == 0; i++) {
		metrics_init(&service->workers[i].metrics, watched);
		service->server.worker_count++;
	}
	for (size_t i = 0; i < options->workers && error == 0; i++) {
		service->workers[i].tls = take_certificates(service, i + 1);
		error = worker_start(&service->workers[i], &service->server, &service->listeners,
				     i);
		if (error == 0)
			service->worker_count++;
	}
	return error == 0 ? EXIT_OK : start_failed(&service->server, error);
}

/* Why this backend: the library gives the reason if it is not the requested one. */
static const char *backend_reason(const struct service *service, struct sluice_engine *engine)
{
	const char *reason = sluice_engine_backend_reason(engine);
	const char *wished = getenv("SLUICE_BACKEND");

	if (reason != NULL && reason[0] != '\0')
		return reason;
	if (service->options.backend != SLUICE_BACKEND_AUTO)
		return "as requested";
	if (wished != NULL && wished[0] != '\0')
		return "selected by SLUICE_BACKEND";
	return "supported by the kernel";
}

/* The prefix for further listeners, and the scheme. */
static const struct {
	const char *word;
	const char *scheme;
} listener_words[LISTEN_KINDS] = {
	[LISTEN_FILES] = {"Also", "http"},
	[LISTEN_TLS] = {"Also", "https"},
	[LISTEN_REDIRECT] = {"Redirects", "http"},
	[LISTEN_METRICS] = {"Metrics", "http"},
};

static void print_start(const struct service *service)
{
	struct sluice_engine *engine = service->workers[0].engine;
	const struct listen_point *points = service->listeners.points;
	char url[128], directory[PATH_MAX], workers[32] = "";
	size_t first = 0; /* that serves files: those that were passed may be for something else */

	while (points[first].kind != LISTEN_FILES && points[first].kind != LISTEN_TLS)
		first++;
	listen_url(&points[first].address, listener_words[points[first].kind].scheme, url,
		   sizeof(url));
	if (realpath(service->options.directory, directory) == NULL)
		snprintf(directory, sizeof(directory), "%s", service->options.directory);
	if (service->worker_count > 1)
		snprintf(workers, sizeof(workers), ", %zu workers", service->worker_count);
	messages_say("Serving %s at %s with %s (%s)%s", directory, url,
		     sluice_engine_backend(engine), backend_reason(service, engine), workers);
	for (size_t i = 0; i < service->listeners.count; i++) {
		enum listen_kind kind = points[i].kind;

		if (i == first)
			continue;
		listen_url(&points[i].address, listener_words[kind].scheme, url, sizeof(url));
		messages_say("%s at %s", listener_words[kind].word, url);
	}
}

static void drain_workers(struct service *service)
{
	for (size_t i = 0; i < service->worker_count; i++)
		worker_drain(&service->workers[i]);
}

static size_t ended_workers(const struct service *service)
{
	size_t ended = 0;

	for (size_t i = 0; i < service->worker_count; i++)
		ended += atomic_load(&service->workers[i].ended);
	return ended;
}

static size_t gone_workers(const struct service *service)
{
	size_t gone = 0;

	for (size_t i = 0; i < service->worker_count; i++)
		gone += atomic_load(&service->workers[i].gone);
	return gone;
}

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* A repeated request does not extend the deadline. */
static void set_deadline(struct service *service, uint64_t seconds)
{
	int64_t deadline = now_ns() + (int64_t)seconds * NS_PER_S;

	if (service->deadline_ns == 0 || deadline < service->deadline_ns)
		service->deadline_ns = deadline;
}

/* Asks the workers to end: first after pending responses, then at once. */
static void ask_to_end(struct service *service)
{
	if (service->asked == 0)
		notify_stopping();
	set_deadline(service,
		     service->asked++ == 0 ? service->options.drain_s + GRACE_S : AT_ONCE_S);
	if (!service->released)
		drain_workers(service);
}

/* Notifies the watchdog if all workers have answered, and asks them again. */
static void show_life(struct service *service)
{
	bool alive = true;

	for (size_t i = 0; i < service->worker_count; i++)
		alive &= atomic_load(&service->workers[i].pings) == service->pings;
	if (!alive)
		return;
	notify_alive();
	service->pings++;
	for (size_t i = 0; i < service->worker_count; i++)
		worker_ping(&service->workers[i]);
}

/* Waits for the next signal, and notifies the watchdog meanwhile. */
static int next_signal_running(struct service *service, const sigset_t *signals)
{
	struct timespec time = {.tv_sec = service->alive_ns / NS_PER_S,
				.tv_nsec = service->alive_ns % NS_PER_S};
	int signal;

	for (;;) {
		show_life(service);
		signal = sigtimedwait(signals, NULL, &time);
		if (signal >= 0 || errno != EAGAIN)
			return signal >= 0 ? signal : SIGUSR1;
	}
}

/* The next signal; 0: the deadline has passed. */
static int next_signal(struct service *service, const sigset_t *signals)
{
	int64_t left = service->deadline_ns - now_ns();
	struct timespec time = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
	int signal;

	if (service->deadline_ns == 0 && service->alive_ns > 0 && !service->released)
		return next_signal_running(service, signals);
	if (service->deadline_ns == 0)
		return sigwait(signals, &signal) == 0 ? signal : SIGUSR1;
	if (left <= 0)
		return 0;
	signal = sigtimedwait(signals, NULL, &time);
	if (signal < 0)
		return errno == EAGAIN ? 0 : SIGUSR1;
	return signal;
}

/* Passes the reloaded configuration to the workers, unless they are ending. */
static void finish_reload(struct service *service)
{
	struct reload *reload = &service->reload;

	if (!reload_is_done(reload))
		return;
	if (reload->rules != NULL && service->asked == 0) {
		for (size_t i = 0; i < service->worker_count; i++) {
			struct worker_news news = reload_take(reload, i);

			worker_reload(&service->workers[i], &news);
		}
		messages_say("Reloaded %s", service->options.directory);
	}
	if (service->asked == 0)
		notify_ready();
	reload_finish(reload);
}

/*
 * Waits until the count is that of all workers. False: a thread hangs, and the deadline has passed.
 */
static bool wait_for_workers(struct service *service, const sigset_t *signals,
			     size_t (*count)(const struct service *service))
{
	while (count(service) < service->worker_count) {
		int signal = next_signal(service, signals);

		if (signal == 0)
			return false;
		if (signal == SIGHUP) {
			if (service->asked == 0) {
				notify_reloading();
				reload_begin(&service->reload);
			}
			continue;
		}
		if (signal == SIGUSR1)
			finish_reload(service);
		/* SIGUSR1 also comes from a worker: a failed one ends the others. */
		if (signal != SIGUSR1 || (service->asked == 0 && ended_workers(service) > 0))
			ask_to_end(service);
	}
	return true;
}

/* Ends the process although a thread hangs, which cannot be ended otherwise. */
static void leave(void)
{
	messages_complain("exiting at once: a thread did not end in time");
	messages_stop();
	_exit(EXIT_OK);
}

static void wait_for_end(struct service *service, const sigset_t *signals)
{
	if (!wait_for_workers(service, signals, ended_workers))
		leave();
	for (size_t i = 0; i < service->worker_count; i++)
		worker_release(&service->workers[i]);
	service->released = true;
	set_deadline(service, TEAR_DOWN_S);
	if (!wait_for_workers(service, signals, gone_workers))
		leave();
}

static int join_workers(struct service *service)
{
	int code = EXIT_OK;

	for (size_t i = 0; i < service->worker_count; i++) {
		int error = worker_join(&service->workers[i]);

		service->left_behind |= service->workers[i].left_behind;
		if (error != 0)
			code = setup_fail("a worker failed", error, "");
	}
	free(service->workers);
	return code;
}

static int run_service(struct service *service, const sigset_t *signals)
{
	int code = start_workers(service);
	int ended;

	reload_init(&service->reload, &service->server, service->worker_count);
	service->alive_ns = notify_interval_ns();
	if (code == EXIT_OK) {
		print_start(service);
		notify_ready();
	} else {
		ask_to_end(service);
	}
	wait_for_end(service, signals);
	ended = join_workers(service);
	listen_set_close(&service->listeners);
	return code != EXIT_OK ? code : ended;
}

/* The workers' threads inherit the mask: signals arrive at the thread that waits for them. */
static void block_signals(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGUSR1);
	sigaddset(ret_signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Reports all errors that can be found before anything is started. */
static int prepare(struct service *service)
{
	int code = setup_server(&service->server), opened;

	code = setup_first(code, add_listeners(service));
	opened = open_directory(service);
	if (opened == EXIT_OK) {
		service->server.rules = site_read(&service->options, &service->server.docroot);
		opened = service->server.rules != NULL ? EXIT_OK : EXIT_FAILED;
	}
	return setup_first(setup_first(code, opened), read_certificates(service));
}

int serve_main(int argc, char **argv)
{
	/* The values of options live as long as the process, and are reachable from here. */
	static struct service service = {.server = {.options = &service.options}};
	sigset_t signals;
	int code = setup_read_arguments(&service.options, argc, argv);

	if (code != EXIT_OK)
		return code == SETUP_DONE ? EXIT_OK : code;
	block_signals(&signals);
	messages_start();
	share_descriptors(&service);
	service.server.limits = (struct request_limits){
		.head_bytes = service.options.max_head,
		.target_bytes = service.options.max_target,
		.body_bytes = service.options.max_body,
	};
	code = prepare(&service);
	if (code == EXIT_OK && service.options.check)
		messages_say("The configuration is valid.");
	else if (code == EXIT_OK)
		code = run_service(&service, &signals);
	messages_stop();
	/* Threads that hang in a file system still use what would be freed. */
	if (service.left_behind || !reload_is_over(&service.reload))
		_exit(code);
	mime_free(service.server.mime);
	rules_release(service.server.rules);
	release_certificates(&service);
	free(service.server.index_names);
	free(service.server.trusted);
	addresses_dispose(&service.server.addresses);
	docroot_close(&service.server.docroot);
	return code;
}
