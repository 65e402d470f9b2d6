/* SPDX-License-Identifier: MIT */
/* Reads the contents that are kept in memory. */
#ifndef SLUICE_COMMAND_SERVE_CONTENT_H
#define SLUICE_COMMAND_SERVE_CONTENT_H

#include "serve/load.h"

/*
 * Reads a file that is small or may report a wrong size. 0 with the content, or without it if the
 * file is to be sent from its descriptor; -EAGAIN; -errno.
 */
int content_take(int fd, const struct load_request *request, bool cached, struct loaded *loaded);

/* Sets a generated content; takes it over. */
void content_set_generated(struct loaded *loaded, char *content, size_t length);

#endif
