/* SPDX-License-Identifier: MIT */
/* From a request to the reply that is sent. */
#ifndef SLUICE_COMMAND_SERVE_ANSWER_H
#define SLUICE_COMMAND_SERVE_ANSWER_H

#include "serve/connection.h"
#include "serve/request.h"

/*
 * Answers the request, and says in the answer that the connection closes if it is to. False: the
 * file has to be looked for first; ask again when the connection's waiter was called.
 */
bool answer_request(struct connection *connection, const struct request *request);

/* Whether the connection ends with the answer to this request. */
bool answer_closes(const struct connection *connection, const struct request *request);

/* Refuses what cannot be read or did not arrive; request may be NULL. The connection closes. */
void answer_refusal(struct connection *connection, const struct request *request, int status);

#endif
