/* SPDX-License-Identifier: MIT */
#include "serve/reload.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "messages.h"
#include "serve/certificates.h"
#include "serve/site.h"

void reload_init(struct reload *reload, struct server *server, size_t workers)
{
	reload->server = server;
	reload->workers = workers;
	reload->starter = pthread_self();
	for (size_t i = 0; i < WORKERS_MAX; i++)
		reload->log_fds[i] = -1;
}

static void close_logs(struct reload *reload)
{
	for (size_t i = 0; i < reload->workers; i++) {
		if (reload->log_fds[i] >= 0)
			close(reload->log_fds[i]);
		reload->log_fds[i] = -1;
	}
}

/* Opens the log once per worker. */
static bool open_logs(struct reload *reload)
{
	const struct serve_options *options = reload->server->options;

	if (!options->access_log || options->access_log_file == NULL)
		return true;
	for (size_t i = 0; i < reload->workers; i++) {
		int fd = accesslog_open_file(options->access_log_file);

		if (fd < 0) {
			messages_complain("%s: %s", options->access_log_file, strerror(-fd));
			return false;
		}
		reload->log_fds[i] = fd;
	}
	return true;
}

static void close_certificates(struct reload *reload)
{
	for (size_t i = 0; reload->tls != NULL && i < reload->workers; i++)
		certificates_release(reload->tls[i]);
	free(reload->tls);
	reload->tls = NULL;
}

/* An invalid certificate does not prevent the rest: a rotated log has to be opened again. */
static void read_certificates(struct reload *reload)
{
	const struct server *server = reload->server;

	if (server->tls == NULL)
		return;
	reload->tls = certificates_read(server->options, server->tls, reload->workers);
	if (reload->tls == NULL)
		messages_complain("reload: keeping the old certificates");
}

static void *read_again(void *argument)
{
	struct reload *reload = argument;
	struct server *server = reload->server;
	int error = docroot_reopen(&server->docroot);

	if (error != 0)
		messages_complain("%s: %s", server->options->directory, strerror(-error));
	reload->rules = site_read(server->options, &server->docroot);
	read_certificates(reload);
	if (!open_logs(reload))
		close_logs(reload);
	if (reload->rules == NULL) {
		close_logs(reload);
		close_certificates(reload);
		messages_complain("reload failed: nothing was changed");
	}
	atomic_store(&reload->state, RELOAD_DONE);
	pthread_kill(reload->starter, SIGUSR1);
	return NULL;
}

void reload_begin(struct reload *reload)
{
	pthread_t thread;
	int error;

	if (atomic_load(&reload->state) != RELOAD_IDLE) {
		reload->again = true;
		return;
	}
	atomic_store(&reload->state, RELOAD_READING);
	error = pthread_create(&thread, NULL, read_again, reload);
	if (error == 0) {
		pthread_detach(thread);
		return;
	}
	/* It ends as one that failed while reading. */
	messages_complain("reload failed: %s", strerror(error));
	atomic_store(&reload->state, RELOAD_DONE);
	pthread_kill(reload->starter, SIGUSR1);
}

bool reload_is_done(const struct reload *reload)
{
	return atomic_load(&reload->state) == RELOAD_DONE;
}

struct worker_news reload_take(struct reload *reload, size_t worker)
{
	struct worker_news news = {
		.rules = rules_hold(reload->rules),
		.tls = reload->tls != NULL ? reload->tls[worker] : NULL,
		.log_fd = reload->log_fds[worker],
	};

	if (reload->tls != NULL)
		reload->tls[worker] = NULL;
	reload->log_fds[worker] = -1;
	return news;
}

void reload_finish(struct reload *reload)
{
	rules_release(reload->rules);
	reload->rules = NULL;
	close_logs(reload);
	close_certificates(reload);
	atomic_store(&reload->state, RELOAD_IDLE);
	if (reload->again) {
		reload->again = false;
		reload_begin(reload);
	}
}

bool reload_is_over(struct reload *reload)
{
	if (reload_is_done(reload)) {
		reload->again = false;
		reload_finish(reload);
	}
	return atomic_load(&reload->state) == RELOAD_IDLE;
}
