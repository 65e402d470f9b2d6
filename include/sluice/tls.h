/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.2 and 1.3 on a socket: libsluice-tls, a separate library on top of OpenSSL 3.
 *
 * sluice_tls_handshake_async runs the handshake on a connected stream. After it has succeeded,
 * every call works on the socket as before, with the application's bytes: all sends, files
 * included, receives, Begin and End, disconnect. If the kernel can take over the session (kTLS), it
 * encrypts what is sent, and files are sent by sendfile(2); otherwise the library encrypts, on the
 * engine's thread. Both ways keep the same promises. They differ from a plain socket as follows:
 *
 *   - OutOfBand and DontRoute, and a receive with OutOfBand, are refused with -EOPNOTSUPP
 *   - the end of the stream is Success with 0 bytes only if the peer sent it in TLS; a connection
 *     that ends without it gives ConnectionAborted
 *   - a record that is cancelled or times out may have been encrypted in part: those bytes are sent
 *     and count as transferred
 *   - a send with PARTIAL completes with a batch of up to 128 KiB if the library encrypts
 *   - MORE holds nothing back if the kernel encrypts
 *   - a disconnect, and a close with nothing left to send, signal the end to the peer in TLS
 *
 * sluice_tls_error_text returns OpenSSL's error texts.
 */
#ifndef SLUICE_TLS_H
#define SLUICE_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <sluice/args.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_tls;         /* TLS state of a socket */
struct sluice_tls_context; /* configuration shared by many sockets */

enum {
	SLUICE_TLS_CLIENT,
	SLUICE_TLS_SERVER
};

/* The encrypting side. */
enum {
	SLUICE_TLS_WAY_AUTO,   /* the kernel if it can, which is tried; else the library */
	SLUICE_TLS_WAY_KERNEL, /* the kernel encrypts what is sent, or the handshake fails */
	SLUICE_TLS_WAY_LIBRARY
};

enum {
	SLUICE_TLS_VERSION_1_2 = 0x0303,
	SLUICE_TLS_VERSION_1_3 = 0x0304
};

/* Requirements on the peer's certificate. */
enum {
	SLUICE_TLS_VERIFY_DEFAULT,  /* client: REQUIRED; server: NONE */
	SLUICE_TLS_VERIFY_NONE,     /* accept anything */
	SLUICE_TLS_VERIFY_OPTIONAL, /* accept no certificate, or one that can be verified */
	SLUICE_TLS_VERIFY_REQUIRED
};

/* A certificate with its chain, and its key, in PEM files. */
struct sluice_tls_certificate {
	const char *certificate_file;
	const char *key_file;
};

struct sluice_tls_context_options {
	size_t size;          /* sizeof this; members beyond it count as 0 */
	uint32_t role;        /* SLUICE_TLS_CLIENT, SLUICE_TLS_SERVER */
	uint32_t way;         /* SLUICE_TLS_WAY_* */
	uint32_t version_min; /* SLUICE_TLS_VERSION_*; 0: 1.2 */
	uint32_t version_max; /* 0: 1.3 */
	uint32_t verify;      /* SLUICE_TLS_VERIFY_* */
	uint32_t no_tickets;  /* server, not 0: sessions cannot be resumed */
	/*
	 * A server uses the one for the name that the client requests (SNI), else the first. Of two
	 * for the same names, with keys of different types (EC, RSA), it uses the one that the
	 * client supports.
	 */
	const struct sluice_tls_certificate *certificates;
	size_t certificate_count;
	/* PEM, trusted authorities; NULL: the system's, for a client without a secret */
	const char *authorities_file;
	const char *const *protocols; /* ALPN, in order of preference */
	size_t protocol_count;
	const char *ciphers;       /* TLS 1.2, in OpenSSL's format; NULL: AEAD with ECDHE */
	const char *cipher_suites; /* TLS 1.3; NULL: OpenSSL's default */
	/*
	 * A secret shared by both sides, 32 to 64 bytes, and its name: TLS 1.3 only, always with an
	 * ephemeral key exchange. A peer that does not have it is refused, whatever its
	 * certificate.
	 */
	const void *secret;
	size_t secret_length;
	const char *secret_name; /* NULL: "sluice" */
	/* A server's older context: sessions created with it can be resumed with this one. */
	const struct sluice_tls_context *predecessor;
	/* Buffer for an error message; may be NULL. */
	char *error_text;
	size_t error_capacity;
};

/*
 * Creates a context; the files are read in this call. Any thread may use it, with any engine.
 * Returns 0; -EINVAL; -ENOENT or another error of open(2); -EBADMSG: a file has the wrong format,
 * or a key does not match its certificate; -ENOMEM. Since 0.1.
 */
int sluice_tls_context_create(struct sluice_tls_context **ret_context,
			      const struct sluice_tls_context_options *options);

/*
 * Releases the context; sockets that use it keep it alive. NULL is allowed. Any thread. Since 0.1.
 */
void sluice_tls_context_destroy(struct sluice_tls_context *context);

/*
 * Gets the validity period of a certificate, by its index, in seconds since 1970. Any thread.
 * Returns 0; -EINVAL: there is none. Since 0.1.
 */
int sluice_tls_context_validity(const struct sluice_tls_context *context, size_t number,
				int64_t *ret_from, int64_t *ret_until);

struct sluice_tls_options {
	size_t size;
	const char *server_name; /* client: sent as SNI, and required in the server's certificate */
	const void *session;     /* client: from sluice_tls_session, to be resumed */
	size_t session_length;
};

/*
 * Runs the handshake on a connected stream, as an operation of the record: handler, timeout_ns and
 * sluice_cancel work as in a connect, and last_operation is CONNECT. Set a timeout: a peer may stop
 * in the middle. Sends and receives started behind it wait, and end with NotConnected if it fails.
 * On failure native_error is EPROTO; EACCES if the peer is not trusted or does not have the secret;
 * or the network's errno. After a failure nothing can be sent or received: destroy the socket.
 *
 * *ret_tls, if not NULL, is written before the handler can run, and valid until the socket is
 * destroyed or disconnected for reuse. options may be NULL. The engine's thread.
 * Returns 1: pending; else as sluice_filter_async: -EBUSY while sends or receives are in progress,
 * -EALREADY for a second handshake, -EPERM from another thread. Since 0.1.
 */
int sluice_tls_handshake_async(struct sluice_tls_context *context, struct sluice_socket *socket,
			       const struct sluice_tls_options *options, struct sluice_args *args,
			       struct sluice_tls **ret_tls);

struct sluice_tls_statistics {
	size_t size;           /* set by you: sizeof this */
	uint32_t established;  /* not 0: the handshake succeeded */
	uint32_t version;      /* SLUICE_TLS_VERSION_* */
	uint32_t sends_way;    /* SLUICE_TLS_WAY_KERNEL or _LIBRARY; AUTO: not established */
	uint32_t receives_way; /* the decrypting side, likewise */
	uint32_t resumed;      /* not 0: a session was resumed, or the secret was used */
	uint32_t reserved;
	uint64_t records_sealed; /* TLS records that the library encrypted */
	uint64_t bytes_sealed;   /* application bytes in them */
};

/*
 * Fills in the first statistics->size bytes, with the state of the TLS session. The engine's
 * thread. Returns 0; -EINVAL. Since 0.1.
 */
int sluice_tls_statistics(const struct sluice_tls *tls, struct sluice_tls_statistics *statistics);

/*
 * Returns why the handshake or the stream failed, "" if it did not. The string is valid as long as
 * tls. Since 0.1.
 */
const char *sluice_tls_error_text(const struct sluice_tls *tls);

/* Return the cipher suite, the ALPN protocol and the SNI name; NULL for none. Since 0.1. */
const char *sluice_tls_cipher(const struct sluice_tls *tls);
const char *sluice_tls_protocol(const struct sluice_tls *tls);
const char *sluice_tls_server_name(const struct sluice_tls *tls);

/*
 * Copy the peer's certificate (DER), or the session for later resumption, up to capacity bytes.
 * With TLS 1.3 the session arrives with received data. They return the full length, 0 for none. The
 * engine's thread. Since 0.1.
 */
size_t sluice_tls_peer_certificate(const struct sluice_tls *tls, void *buffer, size_t capacity);
size_t sluice_tls_session(const struct sluice_tls *tls, void *buffer, size_t capacity);

struct sluice_tls_probe {
	size_t size;          /* set by you: sizeof this */
	uint32_t kernel;      /* not 0: the kernel takes over sessions (kTLS), as was tried */
	int32_t kernel_error; /* errno if it cannot; ENOSYS: this OpenSSL does not support it */
	const char *openssl;  /* version of OpenSSL at run time */
};

/*
 * Probes the TLS support of the kernel and OpenSSL. Any thread. Returns 0; -EINVAL; -EMFILE.
 * Since 0.1.
 */
int sluice_tls_probe(struct sluice_tls_probe *probe);

#ifdef __cplusplus
}
#endif
#endif
