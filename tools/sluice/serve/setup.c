/* SPDX-License-Identifier: MIT */
#include "serve/setup.h"

#include <errno.h>
#include <sluice/engine.h>
#include <sluice/tls.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "messages.h"
#include "options.h"
#include "serve/certificates.h"
#include "tlsprobe.h"

#define DAY_S 86400

int setup_fail(const char *what, int error, const char *advice)
{
	messages_complain_at(options_place(what), "%s: %s%s%s", what, strerror(-error),
			     advice[0] != '\0' ? "; " : "", advice);
	return EXIT_FAILED;
}

#define MEMBER(name) offsetof(struct serve_options, name)

static const struct option_spec specs[] = {
	{"bind", "ADDRESS[:PORT]", "listen there [127.0.0.1], or on unix:PATH; repeatable",
	 MEMBER(binds), 0, 0, OPTION_LIST, 'b'},
	{"user", "NAME", "switch to this user after binding", MEMBER(user), 0, 0, OPTION_STRING, 0},
	{"port", "PORT", "listen on this port [8080]; 0 for a free one", MEMBER(port), 0, 65535,
	 OPTION_NUMBER, 'p'},
	{"tls-cert", "FILE", "serve HTTPS with this certificate (PEM); repeatable",
	 MEMBER(tls_certs), 0, 0, OPTION_LIST, 0},
	{"tls-key", "FILE", "the private key of each certificate", MEMBER(tls_keys), 0, 0,
	 OPTION_LIST, 0},
	{"tls-way", "NAME", "what encrypts: auto, kernel or library [auto]", MEMBER(tls_way), 0, 0,
	 OPTION_TLS_WAY, 0},
	{"redirect-http", "PORT", "redirect HTTP on this port to HTTPS", MEMBER(redirect_http), 0,
	 0, OPTION_STRING, 0},
	{"https-port", "PORT", "HTTPS port in redirects [the listening port]", MEMBER(https_port),
	 1, 65535, OPTION_NUMBER, 0},
	{"hsts", "SECONDS", "send Strict-Transport-Security [off]", MEMBER(hsts_s), 0,
	 10ull * 366 * DAY_S, OPTION_NUMBER, 0},
	{"backend", "NAME", "auto, uring or epoll [auto]", MEMBER(backend), 0, 0, OPTION_BACKEND,
	 0},
	{"workers", "N", "number of engines, one thread each [1]", MEMBER(workers), 1, WORKERS_MAX,
	 OPTION_NUMBER, 'w'},
	{"dotfiles", NULL, "serve names that begin with a dot", MEMBER(dotfiles), 0, 0, OPTION_FLAG,
	 0},
	{"index", "NAMES", "index files, in order of preference [index.html]", MEMBER(index), 0, 0,
	 OPTION_STRING, 0},
	{"clean-urls", NULL, "serve about.html as /about", MEMBER(clean_urls), 0, 0, OPTION_FLAG,
	 0},
	{"charset", "NAME", "charset of text files [utf-8]; empty: none", MEMBER(charset), 0, 0,
	 OPTION_STRING, 0},
	{"mime", "EXT=TYPE", "the type of files that end in .EXT; repeatable", MEMBER(mimes), 0, 0,
	 OPTION_LIST, 0},
	{"header", "LINE", "add \"Name: value\" to all responses; repeatable", MEMBER(headers), 0,
	 0, OPTION_LIST, 0},
	{"cache-control", "VALUE", "Cache-Control of all responses", MEMBER(cache_control), 0, 0,
	 OPTION_STRING, 0},
	{"cors", NULL, "allow scripts of other origins to read the files", MEMBER(cors), 0, 0,
	 OPTION_FLAG, 0},
	{"no-listing", NULL, "respond 403 to a directory without an index", MEMBER(no_listing), 0,
	 0, OPTION_FLAG, 0},
	{"no-precompressed", NULL, "do not look for .br, .zst and .gz files",
	 MEMBER(no_precompressed), 0, 0, OPTION_FLAG, 0},
	{"access-log", "FILE", "log requests to the file, or to the standard output",
	 MEMBER(access_log_file), 0, 0, OPTION_LOG, 0},
	{"log-format", "NAME", "format of the log: combined or json [combined]", MEMBER(log_format),
	 0, 0, OPTION_STRING, 0},
	{"metrics", "ADDRESS:PORT", "serve /metrics and /healthz on this address", MEMBER(metrics),
	 0, 0, OPTION_STRING, 0},
	{"max-connections", "N", "maximum connections [by descriptor limit]",
	 MEMBER(max_connections), 0, 10000000, OPTION_NUMBER, 0},
	{"max-connections-per-address", "N", "maximum connections per client [no limit]",
	 MEMBER(max_per_address), 1, 10000000, OPTION_NUMBER, 0},
	{"limit-rate", "BYTES", "bytes per second per connection [no limit]", MEMBER(limit_rate),
	 1024, 1ull << 40, OPTION_SIZE, 0},
	{"proxy-protocol", NULL, "require a PROXY header on each connection",
	 MEMBER(proxy_protocol), 0, 0, OPTION_FLAG, 0},
	{"trust-proxy", "ADDRESS[/BITS]", "believe this proxy: see sluice-serve(1); repeatable",
	 MEMBER(trusted), 0, 0, OPTION_LIST, 0},
	{"max-head", "BYTES", "maximum size of request headers [16K]", MEMBER(max_head), 256,
	 1 << 20, OPTION_SIZE, 0},
	{"max-target", "BYTES", "maximum length of a request URL [8K]", MEMBER(max_target), 64,
	 1 << 20, OPTION_SIZE, 0},
	{"max-body", "BYTES", "maximum request body, which is discarded [1M]", MEMBER(max_body), 0,
	 1u << 30, OPTION_SIZE, 0},
	{"idle-timeout", "SECONDS", "close an idle connection after this long [60]",
	 MEMBER(idle_timeout_s), 1, DAY_S, OPTION_NUMBER, 0},
	{"header-timeout", "SECONDS", "maximum time for a request to arrive [10]",
	 MEMBER(header_timeout_s), 1, DAY_S, OPTION_NUMBER, 0},
	{"write-timeout", "SECONDS", "drop a client that reads nothing for this long [30]",
	 MEMBER(write_timeout_s), 1, DAY_S, OPTION_NUMBER, 0},
	{"drain", "SECONDS", "finish responses this long after SIGTERM [10]", MEMBER(drain_s), 0,
	 DAY_S, OPTION_NUMBER, 0},
	{"cache-entries", "N", "files cached per worker [1024]", MEMBER(cache_entries), 1, 1000000,
	 OPTION_NUMBER, 0},
	{"cache-file-size", "BYTES", "keep files up to this size in memory [16K]",
	 MEMBER(cache_file_bytes), 0, 1 << 20, OPTION_SIZE, 0},
	{"revalidate", "SECONDS", "check a cached file again after this long [1]",
	 MEMBER(revalidate_s), 0, DAY_S, OPTION_NUMBER, 0},
	{"lookup-threads", "N", "maximum threads per worker for file lookups [16]",
	 MEMBER(lookup_threads), 1, 256, OPTION_NUMBER, 0},
	{"config", "FILE", "read options from the file, one per line", MEMBER(config), 0, 0,
	 OPTION_CONFIG, 'c'},
	{"directory", "PATH", "same as the argument", MEMBER(directory), 0, 0, OPTION_STRING, 0},
	{"check", NULL, "only check the configuration and its files", MEMBER(check), 0, 0,
	 OPTION_FLAG, 0},
	{"trace", "FILE", "append a trace of all calls; JSON if named *.json", MEMBER(trace), 0, 0,
	 OPTION_STRING, 0},
};

static const struct option_table table = {
	.command = "serve",
	.arguments = "[DIRECTORY]",
	.summary = "Serves the files of the directory (default: the current one) over HTTP.",
	.specs = specs,
	.count = sizeof(specs) / sizeof(specs[0]),
	.flag_offset = MEMBER(access_log),
};

static const struct serve_options defaults = {
	.directory = ".",
	.index = "index.html",
	.charset = "utf-8",
	.log_format = "combined",
	.port = 8080,
	.hsts_s = HSTS_UNSET,
	.workers = 1,
	.max_head = 16 * 1024,
	.max_target = 8 * 1024,
	.max_body = 1024 * 1024,
	.idle_timeout_s = 60,
	.header_timeout_s = 10,
	.write_timeout_s = 30,
	.drain_s = 10,
	.cache_entries = 1024,
	.cache_file_bytes = 16 * 1024,
	.revalidate_s = 1,
	.lookup_threads = 16,
};

/* Checks the combination of the TLS options. */
static int check_tls(const struct serve_options *options)
{
	size_t certs = options->tls_certs.count, keys = options->tls_keys.count;
	const void *alone = certs > keys   ? options->tls_certs.values[keys]
			    : keys > certs ? options->tls_keys.values[certs]
					   : NULL;

	if (alone != NULL) {
		options_complain_of("serve", alone,
				    "each --tls-cert needs its --tls-key: %zu and %zu were given",
				    certs, keys);
		return EXIT_USAGE;
	}
	if (certs == 0 && options->redirect_http != NULL) {
		options_complain_of("serve", options->redirect_http,
				    "--redirect-http needs --tls-cert");
		return EXIT_USAGE;
	}
	if (certs == 0 && options->hsts_s != HSTS_UNSET) {
		options_complain_of("serve", &options->hsts_s, "--hsts needs --tls-cert");
		return EXIT_USAGE;
	}
	if (certs == 0 && options->tls_way != SLUICE_TLS_WAY_AUTO) {
		options_complain_of("serve", &options->tls_way, "--tls-way needs --tls-cert");
		return EXIT_USAGE;
	}
	if (certs > 0 && !certificates_available()) {
		options_complain_of("serve", options->tls_certs.values[0],
				    "--tls-cert: this sluice was built without TLS");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* Found before the start: else each handshake would fail. */
static int check_way(const struct serve_options *options)
{
	char text[160];

	if (options->tls_certs.count == 0 || tlsprobe_has_way(options->tls_way, text, sizeof(text)))
		return EXIT_OK;
	messages_complain_at(options_place(&options->tls_way), "--tls-way=kernel: %s", text);
	return EXIT_FAILED;
}

static int check_log(const struct serve_options *options)
{
	if (options->log_json || strcmp(options->log_format, "combined") == 0)
		return EXIT_OK;
	options_complain_of("serve", options->log_format, "--log-format=%s: not combined or json",
			    options->log_format);
	return EXIT_USAGE;
}

int setup_read_arguments(struct serve_options *options, int argc, char **argv)
{
	int index = 0;

	*options = defaults;
	switch (options_parse(&table, argc, argv, options, &index)) {
	case OPTIONS_OK:
		break;
	case OPTIONS_DONE:
		return SETUP_DONE;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	}
	if (index + 1 < argc) {
		options_complain("serve", "%s: only one directory may be given", argv[index + 1]);
		return EXIT_USAGE;
	}
	options->log_json = strcmp(options->log_format, "json") == 0;
	if (index < argc)
		options->directory = argv[index];
	return EXIT_OK;
}

/* The table of media types: options override the system's table. */
static int load_types(struct server *server)
{
	const struct serve_options *options = server->options;
	bool valid = mime_is_valid_charset(options->charset);

	if (!valid)
		options_complain_of("serve", options->charset, "--charset=%s: not a name",
				    options->charset);
	for (size_t i = 0; i < options->mimes.count; i++) {
		const char *mime = options->mimes.values[i];

		if (mime_is_valid(mime))
			continue;
		options_complain_of("serve", mime,
				    "--mime=%s: not EXT=TYPE, for example foo=text/plain", mime);
		valid = false;
	}
	if (!valid)
		return EXIT_USAGE;
	server->mime = mime_load("/etc/mime.types", options->mimes.values, options->mimes.count,
				 options->charset);
	if (server->mime == NULL)
		return setup_fail("/etc/mime.types", -ENOMEM, "");
	return EXIT_OK;
}

/* The names of index files, at most INDEXES_MAX. */
static int read_indexes(struct server *server)
{
	struct file_lookup_options *lookup = &server->lookup;
	char *names = strdup(server->options->index), *rest = names, *name;

	if (names == NULL)
		return setup_fail("--index", -ENOMEM, "");
	server->index_names = names;
	while ((name = strsep(&rest, ",")) != NULL) {
		if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
		    strcmp(name, "..") == 0 || lookup->index_count == LOOKUP_INDEXES_MAX) {
			options_complain_of("serve", server->options->index,
					    "--index=%s: not a list of 1 to %d file names",
					    server->options->index, LOOKUP_INDEXES_MAX);
			return EXIT_USAGE;
		}
		lookup->indexes[lookup->index_count++] = name;
	}
	return EXIT_OK;
}

/* The options for file lookups. */
static int set_load_options(struct server *server)
{
	const struct serve_options *options = server->options;

	server->lookup = (struct file_lookup_options){
		.dotfiles = options->dotfiles,
		.listing = !options->no_listing,
		.precompressed = !options->no_precompressed,
		.clean_urls = options->clean_urls,
	};
	return read_indexes(server);
}

static int read_proxies(struct server *server)
{
	const struct option_list *list = &server->options->trusted;
	int code = EXIT_OK;

	server->trusted = calloc(list->count + 1, sizeof(*server->trusted));
	if (server->trusted == NULL ||
	    addresses_init(&server->addresses, server->options->max_per_address) != 0)
		return setup_fail("the limits", -ENOMEM, "");
	for (size_t i = 0; i < list->count; i++) {
		if (proxy_read_net(list->values[i], &server->trusted[server->trusted_count])) {
			server->trusted_count++;
			continue;
		}
		options_complain_of("serve", list->values[i],
				    "--trust-proxy=%s: not ADDRESS or ADDRESS/BITS",
				    list->values[i]);
		code = EXIT_USAGE;
	}
	return code;
}

int setup_first(int code, int next)
{
	return code != EXIT_OK ? code : next;
}

int setup_server(struct server *server)
{
	int code = check_log(server->options);

	code = setup_first(code, check_tls(server->options));
	if (code == EXIT_OK)
		code = check_way(server->options);
	code = setup_first(code, read_proxies(server));
	code = setup_first(code, set_load_options(server));
	return setup_first(code, load_types(server));
}
