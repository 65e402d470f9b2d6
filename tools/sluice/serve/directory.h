/* SPDX-License-Identifier: MIT */
/* Reads a directory and lists what a client can fetch from it. */
#ifndef SLUICE_COMMAND_SERVE_DIRECTORY_H
#define SLUICE_COMMAND_SERVE_DIRECTORY_H

#include "serve/docroot.h"
#include "serve/listing.h"

#define DIRECTORY_NAMES_MAX 250000 /* in one listing; the page says if more were left out */

/*
 * Lists the directory of this path, which ends with a slash, into the buffer. Takes over the
 * descriptor. May block. 0 or -errno.
 */
int directory_list(const struct root *root, int fd, const char *path, struct listing_view view,
		   bool dotfiles, struct buffer *buffer);

#endif
