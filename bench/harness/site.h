/* SPDX-License-Identifier: MIT */
/*
 * The files of a small web site, as HttpArena's static profile has them: 20 of 3 to 300 KB, texts with
 * compressed variants beside them and pictures and fonts without. Pure.
 */
#ifndef BENCH_HARNESS_SITE_H
#define BENCH_HARNESS_SITE_H

#include <stdbool.h>
#include <stddef.h>

struct site_file {
	const char *name;
	size_t bytes;
	size_t gzip_bytes; /* of name.gz; 0: there is none */
	size_t brotli_bytes;
};

#define SITE_FILES 20

extern const struct site_file site_files[SITE_FILES];

/* What an answer's body should have, and its Content-Encoding, or NULL. */
size_t site_body(const struct site_file *file, bool accepts_compressed, bool has_brotli,
		 const char **ret_encoding);

#endif
