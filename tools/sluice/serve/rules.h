/* SPDX-License-Identifier: MIT */
/*
 * Headers and redirects for path patterns: the files _headers and _redirects, and headers set by
 * options. Immutable once built; any thread may read them.
 */
#ifndef SLUICE_COMMAND_SERVE_RULES_H
#define SLUICE_COMMAND_SERVE_RULES_H

#include "buffer.h"
#include "span.h"

#define RULES_TEXT_MAX (1u << 20) /* bytes of one file */
#define RULES_MAX 10000           /* of one file */

struct rules;

/* Called for each invalid line; line 0 refers to the file as a whole, or to an option. */
typedef void rules_complain_fn(void *token, const char *file, unsigned int line, const char *what);

/* NULL: no memory. */
struct rules *rules_create(void);
struct rules *rules_hold(struct rules *rules);
void rules_release(struct rules *rules);

/*
 * Adds a header to all answers: "Name: value", from malloc, which is taken over. NULL, or an error
 * message.
 */
const char *rules_add_option(struct rules *rules, char *header);

/* Parse the text of a file, which is copied. False if a line is invalid; all others are parsed. */
bool rules_read_headers(struct rules *rules, struct span text, rules_complain_fn *complain,
			void *token);
bool rules_read_redirects(struct rules *rules, struct span text, rules_complain_fn *complain,
			  void *token);

/*
 * Writes the header lines for a path in plain form. Values of the file override those of options;
 * if several patterns set one header, its values are joined by commas. path.at NULL: an answer
 * without a path.
 */
void rules_write_headers(const struct rules *rules, struct span path, struct buffer *buffer);

/* Whether any answer gets a header; whether any path is redirected; even if it exists. */
bool rules_have_headers(const struct rules *rules);
bool rules_have_redirects(const struct rules *rules);
bool rules_have_forced(const struct rules *rules);

/*
 * The first redirect for a path in plain form, with its query: the status, and the escaped,
 * complete target. With forced, only those that apply to existing files. 0: none.
 */
int rules_redirect(const struct rules *rules, struct span path, struct span query, bool forced,
		   struct buffer *target);

#endif
