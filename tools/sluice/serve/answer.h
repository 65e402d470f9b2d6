/* SPDX-License-Identifier: MIT */
/* Produces the reply to a request. */
#ifndef SLUICE_COMMAND_SERVE_ANSWER_H
#define SLUICE_COMMAND_SERVE_ANSWER_H

#include "serve/connection.h"
#include "serve/request.h"

/*
 * Answers the request, with Connection: close if the connection is to end. False: the file has to
 * be looked up first; call again after the connection's waiter was called.
 */
bool answer_request(struct connection *connection, const struct request *request);

/* Whether the connection ends after the answer to this request. */
bool answer_closes(const struct connection *connection, const struct request *request);

/* Refuses an invalid or incomplete request; request may be NULL. The connection closes. */
void answer_refusal(struct connection *connection, const struct request *request, int status);

#endif
