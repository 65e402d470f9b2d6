/* SPDX-License-Identifier: MIT */
/* Looks up a path: a file with its facts and, if it is small, its content. */
#ifndef SLUICE_COMMAND_SERVE_FILE_LOOKUP_H
#define SLUICE_COMMAND_SERVE_FILE_LOOKUP_H

#include <stdint.h>
#include <sys/types.h>

#include "serve/docroot.h"

/* Identifies a version of a file. */
struct file_facts {
	dev_t device;
	ino_t inode;
	uint64_t size;
	int64_t modified_ns; /* since 1970 */
	int64_t changed_ns;
};

bool file_facts_equal(const struct file_facts *a, const struct file_facts *b);

#define LOOKUP_INDEXES_MAX 8

/* Settings common to all lookups of a server. */
struct file_lookup_options {
	const char *indexes[LOOKUP_INDEXES_MAX]; /* index files; the first that exists is used */
	size_t index_count;
	bool dotfiles;
	bool listing;       /* directories without an index are listed */
	bool clean_urls;    /* a URL may omit .html */
	bool precompressed; /* encoded variants are looked for, as the client prefers */
};

struct file_lookup_request {
	struct docroot *docroot;
	const struct file_lookup_options *options;
	const char *path;        /* in plain form, with the leading slash */
	uint32_t view;           /* which form of the file: see view.h */
	uint64_t content_bytes;  /* files up to this size are read */
	bool known;              /* an older version with these facts is cached: if they still */
	struct file_facts facts; /* match, nothing is read */
};

struct lookup_result {
	int status;              /* 200, 301 (a directory), 403, 404, 406, 414, 500, 503 */
	bool unchanged;          /* matches the request's facts; neither fd nor content */
	bool generated;          /* generated, or a file that does not report its length (/proc) */
	uint8_t encoding;        /* of the file: an enum encoding */
	bool listing;            /* the content is a directory listing */
	bool no_index;           /* with 403: a directory without an index, and listings are off */
	int error;               /* -errno, if opening or reading it failed; else 0 */
	const char *suffix;      /* what was appended to the path; NULL: nothing */
	int fd;                  /* of a larger file, else -1 */
	char *content;           /* of a small or generated one; else NULL */
	struct file_facts facts; /* with 200; the size is that of the content */
	uint64_t content_hash;   /* of a generated content */
	int64_t looked_ns;       /* when the facts were read, since 1970 */
};

/*
 * Performs the lookup. With cached, never blocks on a disk, and -EAGAIN means that it would have
 * to; else 0.
 */
int file_lookup(const struct file_lookup_request *request, bool cached,
		struct lookup_result *ret_result);

/* Closes and frees what was not taken over. */
void lookup_result_dispose(struct lookup_result *result);

#endif
