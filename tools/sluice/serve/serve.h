/* SPDX-License-Identifier: MIT */
/* What `sluice serve` can be told. */
#ifndef SLUICE_COMMAND_SERVE_SERVE_H
#define SLUICE_COMMAND_SERVE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

#define HSTS_UNSET UINT64_MAX /* 0 tells browsers to forget what they were told */

struct serve_options {
	const char *directory;
	struct option_list binds; /* empty: 127.0.0.1, or what is inherited */
	const char *user;         /* NULL: stay the same */
	uint64_t port;
	struct option_list tls_certs; /* files; the key of each has its place in tls_keys */
	struct option_list tls_keys;
	const char *redirect_http; /* the port of it; NULL: none */
	uint64_t https_port;       /* that redirects name; 0: the one that is listened at */
	uint64_t hsts_s;           /* HSTS_UNSET: not said */
	uint64_t backend;          /* SLUICE_BACKEND_* */
	uint64_t workers;
	uint64_t max_connections; /* 0: as many as descriptors allow */
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
	uint64_t limit_rate;        /* bytes a second of a connection; 0: none */
	uint64_t max_per_address;   /* connections; 0: none */
	bool no_precompressed;
	bool clean_urls;
	bool check;               /* only whether the options are right */
	const char *index;        /* names, separated by commas */
	const char *charset;      /* of text; empty: not said */
	const char *config;       /* NULL: none */
	struct option_list mimes; /* "EXT=TYPE" */
	struct option_list headers;
	const char *cache_control; /* NULL: none */
	bool cors;
	bool access_log;
	const char *log_format; /* "combined" or "json" */
	bool log_json;
	const char *metrics;         /* where; NULL: nowhere */
	const char *access_log_file; /* NULL: standard output */
	const char *trace;           /* NULL: none */
};

#endif
