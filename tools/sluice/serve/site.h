/* SPDX-License-Identifier: MIT */
/* The configuration in the served directory: its files _headers and _redirects. */
#ifndef SLUICE_COMMAND_SERVE_SITE_H
#define SLUICE_COMMAND_SERVE_SITE_H

#include "serve/docroot.h"
#include "serve/rules.h"
#include "serve/serve.h"

/*
 * Reads the rules of the options and of the directory. Each invalid line is reported. NULL if one
 * was, or if a file could not be read.
 */
struct rules *site_read(const struct serve_options *options, struct docroot *docroot);

/*
 * Whether this path, in its plain form, is one of those files or a precompressed variant of one: they
 * are neither served nor listed.
 */
bool site_is_hidden(const char *path);

#endif
