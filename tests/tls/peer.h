/* SPDX-License-Identifier: MIT */
/*
 * What the tests of TLS share: certificates made on the spot, contexts, and a peer of OpenSSL's
 * alone, on a non-blocking descriptor, that the test drives beside the engine.
 */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include <openssl/ssl.h>
#include <sluice/tls.h>

#include "support.h"

struct files {
	char directory[64];
	char certificate[96]; /* of "localhost" */
	char key[96];
	char other_certificate[96]; /* of "other.example" */
	char other_key[96];
};

/* Self-signed certificates in a directory of their own; remove takes it away. */
void files_make(struct files *files);
void files_remove(struct files *files);

/*
 * The newest version of the pairs: SLUICE_TEST_TLS_VERSION, "1.2" or "1.3", which is the default. The
 * kernel decrypts 1.2 with every OpenSSL.
 */
uint32_t version_of_environment(void);

/* A server's context with the first certificate. */
struct sluice_tls_context *server_context(const struct files *files);
struct sluice_tls_context *context_with(const struct sluice_tls_context_options *options);

/* What the options of a server with the first certificate are, to be changed. */
struct sluice_tls_context_options server_options(const struct files *files,
						 struct sluice_tls_certificate *certificate);

struct peer {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
};

/* The test's end of a connection, as a client. Trusts everybody. */
void peer_init(struct peer *peer, int fd);
void peer_free(struct peer *peer); /* and closes the descriptor */
/* One step of its handshake: true when it is over, well; fails the test when it failed. */
bool peer_step(struct peer *peer);
/* SSL_read: bytes, 0 at the orderly end, -1 nothing now, -2 an error. */
int peer_read(struct peer *peer, void *buffer, int length);
/* Reads this much of the pattern, running the engine. */
void peer_read_pattern(struct fixture *fixture, struct peer *peer, size_t length,
		       uint64_t position);
/* Runs the engine and reads the pattern until the end: bytes, and *ret_orderly. */
uint64_t peer_read_to_end(struct fixture *fixture, struct peer *peer, uint64_t position,
			  bool *ret_orderly);
void peer_write(struct fixture *fixture, struct peer *peer, const void *bytes, int length);

/* A socket of the engine's with TLS, as a server, and the peer. */
struct tls {
	struct pair pair;
	struct peer peer;
	struct sluice_tls *tls;
	struct sluice_tls_context *context;
	struct files files;
};

/* Connected, the handshake over. Buffers of `bytes`, 0: the default. */
void tls_pair_begin(struct fixture *fixture, struct tls *tls, int bytes);
/* The handshake with three bytes of the pattern sent behind it, with these flags. */
void tls_pair_shake(struct fixture *fixture, struct tls *tls, struct operation *behind,
		    uint32_t flags);
void tls_pair_end(struct tls *tls);
/* The parts: a pair whose handshake has not begun; starting it. */
void tls_pair_prepare(struct fixture *fixture, struct tls *tls, int bytes);
int tls_pair_start(struct tls *tls, struct operation *handshake);

/*
 * Has a `tls`, made by tls_pair_begin or tls_pair_prepare with this last argument; as ENGINE_TEST in
 * all else.
 */
#define TLS_TEST(row, name, make, bytes) \
	SUBJECT_TEST(row, name, tls, make(fixture, &tls, bytes), tls_pair_end(&tls))

/* Two sockets of the engine's, TLS between them, and what their contexts are made of. */
struct both {
	struct fixture *fixture;
	struct files files;
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options server_options; /* server_options() */
	struct sluice_tls_context_options client_options; /* trusts the first certificate */
	struct sluice_tls_context *server_context;
	struct sluice_tls_context *client_context;
	struct sluice_socket *server;
	struct sluice_socket *client;
	struct sluice_tls *server_tls;
	struct sluice_tls *client_tls;
	struct operation server_handshake;
	struct operation client_handshake;
};

/* The files and the options; there are neither contexts nor sockets. */
void both_begin(struct fixture *fixture, struct both *both);
void both_end(struct both *both);

/*
 * Makes the contexts and the sockets anew, and runs the handshake, with these options at the client;
 * the outcome is in the operations.
 */
void both_connect(struct both *both, const struct sluice_tls_options *options);

/* The same with the contexts that there are. */
void both_reconnect(struct both *both, const struct sluice_tls_options *options);

/* Copies the client's session, which comes with received data, and returns its length; 0 for none. */
size_t both_session(struct both *both, void *session, size_t capacity);

/* Makes the server's context anew. */
void both_reload(struct both *both);

/* Has a `both`; as ENGINE_TEST in all else. */
#define BOTH_TEST(row, name) \
	SUBJECT_TEST(row, name, both, both_begin(fixture, &both), both_end(&both))

/* The engine's socket and the peer's: attached without TLS. */
int handshake(struct sluice_tls_context *context, struct sluice_socket *socket,
	      const struct sluice_tls_options *options, struct operation *operation,
	      struct sluice_tls **ret_tls);

#endif
