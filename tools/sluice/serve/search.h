/* SPDX-License-Identifier: MIT */
/* Determines the answer to the target of a request. */
#ifndef SLUICE_COMMAND_SERVE_SEARCH_H
#define SLUICE_COMMAND_SERVE_SEARCH_H

#include "serve/connection.h"
#include "serve/resolve.h"

/*
 * Looks up the answer: the file of the path, or the error page of its directory. False: a lookup is
 * pending; search again when the connection's waiter is called.
 */
bool search_run(struct connection *connection, const struct request *request,
		const struct target *target, struct found *ret_found);

#endif
