/* SPDX-License-Identifier: MIT */
/* Finds out what stands at a path: a file with its facts and, if it is small, its content. */
#ifndef SLUICE_COMMAND_SERVE_LOAD_H
#define SLUICE_COMMAND_SERVE_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "serve/docroot.h"

/* What tells one version of a file from another. */
struct file_facts {
	dev_t device;
	ino_t inode;
	uint64_t size;
	int64_t modified_ns; /* since 1970 */
	int64_t changed_ns;
};

bool file_facts_equal(const struct file_facts *a, const struct file_facts *b);

#define LOAD_INDEXES_MAX 8

/* What all looks of a server have in common. */
struct load_options {
	const char *indexes[LOAD_INDEXES_MAX]; /* of a directory; the first that exists counts */
	size_t index_count;
	bool dotfiles;
	bool listing;       /* a directory without an index is listed */
	bool clean_urls;    /* a name may lack its .html */
	bool precompressed; /* files are looked for that are encoded as the client prefers */
};

struct load_request {
	struct docroot *docroot;
	const struct load_options *options;
	const char *path;        /* in its plain form, with its slash in front */
	uint32_t view;           /* which form of what is found there: see view.h */
	uint64_t content_bytes;  /* files up to this are read */
	bool known;              /* there is an older version, of these facts: if it still */
	struct file_facts facts; /* stands, nothing is read */
};

struct loaded {
	int status;              /* 200, 301 (a directory), 403, 404, 406, 414, 500, 503 */
	bool unchanged;          /* as the request's facts say; neither fd nor content */
	bool generated;          /* made, or a file that does not know its length (/proc) */
	uint8_t encoding;        /* of the file: an enum encoding */
	bool listing;            /* the content lists a directory */
	bool no_index;           /* with 403: a directory that has none, and listings are off */
	int error;               /* -errno, if opening or reading it failed; else 0 */
	const char *suffix;      /* what was added to the path; NULL: nothing */
	int fd;                  /* of a larger file, else -1 */
	char *content;           /* of a small one, and of one that is generated; else NULL */
	struct file_facts facts; /* with 200; the size is the content's */
	uint64_t content_hash;   /* of a generated content */
	int64_t looked_ns;       /* when the facts were read, since 1970 */
};

/*
 * Looks. Where cached, nothing waits for a disk, and -EAGAIN says that it would have to; else 0.
 */
int load_file(const struct load_request *request, bool cached, struct loaded *ret_loaded);

/* Closes and frees what was not taken out. */
void loaded_dispose(struct loaded *loaded);

#endif
