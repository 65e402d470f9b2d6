/* SPDX-License-Identifier: MIT */
/* The options of `sluice serve`. */
#ifndef SLUICE_COMMAND_SERVE_SERVE_H
#define SLUICE_COMMAND_SERVE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

#define HSTS_UNSET UINT64_MAX /* 0 tells browsers to forget it */

struct serve_options {
	const char *directory;
	struct option_list binds; /* empty: 127.0.0.1, or inherited sockets */
	const char *user;         /* NULL: no change */
	uint64_t port;
	struct option_list tls_certs; /* files; each key has the index of its certificate */
	struct option_list tls_keys;
	const char *redirect_http; /* the HTTP port; NULL: none */
	uint64_t https_port;       /* in redirects; 0: the listening port */
	uint64_t hsts_s;           /* HSTS_UNSET: not sent */
	uint64_t tls_way;          /* SLUICE_TLS_WAY_* */
	uint64_t backend;          /* SLUICE_BACKEND_* */
	uint64_t workers;
	uint64_t max_connections; /* 0: limited by descriptors */
	uint64_t max_head;
	uint64_t max_target;
	uint64_t max_body;
	uint64_t idle_timeout_s;
	uint64_t header_timeout_s;
	uint64_t write_timeout_s;
	uint64_t drain_s;
	uint64_t cache_entries;
	uint64_t cache_file_bytes;
	uint64_t revalidate_s;
	uint64_t lookup_threads;
	bool dotfiles;
	bool no_listing;
	bool proxy_protocol;
	struct option_list trusted; /* "ADDRESS/BITS" of proxies */
	uint64_t limit_rate;        /* bytes per second and connection; 0: no limit */
	uint64_t max_per_address;   /* connections; 0: no limit */
	bool no_precompressed;
	bool clean_urls;
	bool check;               /* only check the configuration */
	const char *index;        /* names, separated by commas */
	const char *charset;      /* of text; empty: none */
	const char *config;       /* NULL: none */
	struct option_list mimes; /* "EXT=TYPE" */
	struct option_list headers;
	const char *cache_control; /* NULL: none */
	bool cors;
	bool access_log;
	const char *log_format; /* "combined" or "json" */
	bool log_json;
	const char *metrics;         /* address; NULL: none */
	const char *access_log_file; /* NULL: standard output */
	const char *trace;           /* NULL: none */
};

#endif
