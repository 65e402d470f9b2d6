/* SPDX-License-Identifier: MIT */
/* From the target of a request to what it is answered with. */
#ifndef SLUICE_COMMAND_SERVE_SEARCH_H
#define SLUICE_COMMAND_SERVE_SEARCH_H

#include "serve/connection.h"
#include "serve/resolve.h"

/*
 * Looks for what answers the request: the file of its path, or the error page of its directory.
 * False: something has to be looked for first; search again when the connection's waiter was called.
 */
bool search_run(struct connection *connection, const struct request *request,
		const struct target *target, struct found *ret_found);

#endif
