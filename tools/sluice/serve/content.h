/* SPDX-License-Identifier: MIT */
/* Reads the contents that are kept in memory. */
#ifndef SLUICE_COMMAND_SERVE_CONTENT_H
#define SLUICE_COMMAND_SERVE_CONTENT_H

#include "serve/file_lookup.h"

/*
 * Reads a file that is small or may report a wrong size. 0 with the content, or without it if the
 * file is to be sent from its descriptor; -EAGAIN; -errno.
 */
int content_take(int fd, const struct file_lookup_request *request, bool cached,
		 struct lookup_result *result);

/* Sets a generated content; takes it over. */
void content_set_generated(struct lookup_result *result, char *content, size_t length);

#endif
