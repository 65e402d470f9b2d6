/* SPDX-License-Identifier: MIT */
/*
 * The certificates of the daemon, and TLS handshakes. certificates_none.c replaces it in a build
 * without libsluice-tls.
 */
#ifndef SLUICE_COMMAND_SERVE_CERTIFICATES_H
#define SLUICE_COMMAND_SERVE_CERTIFICATES_H

#include "serve/serve.h"

struct sluice_args;
struct sluice_socket;
struct sluice_tls;
struct sluice_tls_context;

/* Whether this build supports TLS. */
bool certificates_available(void);

/*
 * Loads the certificates and keys of the options into one context per worker. Contexts share only
 * the keys that resume sessions, also with the predecessor, if given. An array from malloc; NULL
 * after an error was reported on the standard error.
 */
struct sluice_tls_context **certificates_read(const struct serve_options *options,
					      const struct sluice_tls_context *predecessor,
					      size_t count);

/* Sockets that use the context keep it alive. NULL is allowed. */
void certificates_release(struct sluice_tls_context *context);

/* Starts a handshake as an operation of the record, like sluice_tls_handshake_async. */
int certificates_handshake(struct sluice_tls_context *context, struct sluice_socket *socket,
			   struct sluice_args *args, struct sluice_tls **ret_tls);

/* Why the handshake failed; not NULL. */
const char *certificates_error(const struct sluice_tls *tls);

struct certificates_session {
	bool resumed; /* an older one */
	bool kernel;  /* encrypts what is sent, not the library */
};

/* A session after its handshake. */
struct certificates_session certificates_session(const struct sluice_tls *tls);

#endif
