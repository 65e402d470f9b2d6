/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.2 and 1.3 on a socket: libsluice-tls, a library beside libsluice, over OpenSSL 3.
 *
 * sluice_tls_handshake_async runs the handshake on a connected stream. When it has succeeded, every
 * call works on the socket as before, with the application's bytes: sends of every kind, files
 * included, receives, Begin and End, disconnect. Where the kernel can take the session over (kTLS),
 * it encrypts what is sent and files go by sendfile(2); otherwise the library encrypts, in the
 * engine's thread. Both keep the same promises, with these differences to a plain socket:
 *
 *   - OutOfBand and DontRoute, and a receive with OutOfBand, are refused with -EOPNOTSUPP
 *   - the end of the stream is Success with 0 bytes only if the peer said so in TLS; a connection
 *     that just ends gives ConnectionAborted
 *   - a record that is cancelled or overdue may have been encrypted in part: those bytes go out, and
 *     count as transferred
 *   - a disconnect, and a close with nothing left to send, tell the peer of the end in TLS
 *
 * Error texts of OpenSSL are in sluice_tls_error_text.
 */
#ifndef SLUICE_TLS_H
#define SLUICE_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <sluice/args.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_tls;         /* the TLS side of a socket */
struct sluice_tls_context; /* what many sockets share */

enum {
	SLUICE_TLS_CLIENT,
	SLUICE_TLS_SERVER
};

/* Who encrypts. */
enum {
	SLUICE_TLS_WAY_AUTO,   /* the kernel if it can, else the library */
	SLUICE_TLS_WAY_KERNEL, /* the kernel encrypts what is sent, or the handshake fails */
	SLUICE_TLS_WAY_LIBRARY
};

enum {
	SLUICE_TLS_VERSION_1_2 = 0x0303,
	SLUICE_TLS_VERSION_1_3 = 0x0304
};

/* What is asked of the peer's certificate. */
enum {
	SLUICE_TLS_VERIFY_DEFAULT,  /* client: REQUIRED; server: NONE */
	SLUICE_TLS_VERIFY_NONE,     /* anything is accepted */
	SLUICE_TLS_VERIFY_OPTIONAL, /* none, or one that can be verified */
	SLUICE_TLS_VERIFY_REQUIRED
};

/* A certificate with its chain, and its key, as PEM files. */
struct sluice_tls_certificate {
	const char *certificate_file;
	const char *key_file;
};

struct sluice_tls_context_options {
	size_t size;          /* sizeof this; members beyond it are as if 0 */
	uint32_t role;        /* SLUICE_TLS_CLIENT, SLUICE_TLS_SERVER */
	uint32_t way;         /* SLUICE_TLS_WAY_* */
	uint32_t version_min; /* SLUICE_TLS_VERSION_*; 0: 1.2 */
	uint32_t version_max; /* 0: 1.3 */
	uint32_t verify;      /* SLUICE_TLS_VERIFY_* */
	uint32_t no_tickets;  /* server, not 0: no session can be resumed */
	/*
	 * A server picks the one for the name the client asks for (SNI), else the first. Of two for the
	 * same names, with keys of different kinds (EC, RSA), it picks the one that the client supports.
	 */
	const struct sluice_tls_certificate *certificates;
	size_t certificate_count;
	const char *authorities_file; /* PEM, to verify the peer by; NULL: the system's (client) */
	const char *const *protocols; /* ALPN, the preferred first */
	size_t protocol_count;
	const char *ciphers;       /* of TLS 1.2, as OpenSSL writes them; NULL: AEAD with ECDHE */
	const char *cipher_suites; /* of TLS 1.3; NULL: OpenSSL's */
	/*
	 * A secret that both sides have, 32 to 64 bytes, and its name: TLS 1.3 alone, always with an
	 * ephemeral key exchange. A peer that does not know it is refused, whatever certificate it has.
	 */
	const void *secret;
	size_t secret_length;
	const char *secret_name; /* NULL: "sluice" */
	/* A server's older context: sessions begun with it can be resumed with this one. */
	const struct sluice_tls_context *predecessor;
	/* Where to say what is wrong; may be NULL. */
	char *error_text;
	size_t error_capacity;
};

/*
 * Makes a context, from files that are read now. Any thread may use it, on any engine.
 * 0; -EINVAL, -ENOENT and what else open says; -EBADMSG: a file is not what it should be, or a key
 * does not belong to its certificate; -ENOMEM. Since 0.1.
 */
int sluice_tls_context_create(struct sluice_tls_context **ret_context,
			      const struct sluice_tls_context_options *options);

/* Gives it back: sockets that use it keep it alive. NULL is allowed. Any thread. Since 0.1. */
void sluice_tls_context_destroy(struct sluice_tls_context *context);

/*
 * From when until when the certificate of this number is valid, in seconds since 1970. Any thread.
 * 0; -EINVAL: there is none. Since 0.1.
 */
int sluice_tls_context_validity(const struct sluice_tls_context *context, size_t number,
				int64_t *ret_from, int64_t *ret_until);

struct sluice_tls_options {
	size_t size;
	const char *server_name; /* client: asked for by SNI, and what the certificate must name */
	const void *session;     /* client: of sluice_tls_session, to be resumed */
	size_t session_length;
};

/*
 * Runs the handshake on a connected stream, as an operation of the record: handler, timeout_ns and
 * sluice_cancel work as in a connect, and last_operation is CONNECT. Set a timeout: a peer may stop
 * in the middle. Sends and receives started behind it wait, and end with NotConnected if it fails.
 * A failure has native_error EPROTO, or EACCES if the peer is not trusted or does not know the
 * secret, or what the network says. After it nothing can be sent or received; destroy the socket.
 *
 * *ret_tls, if not NULL, is written before the handler can run. It lives until the socket is
 * destroyed or disconnected for reuse. options may be NULL. The engine's thread.
 * 1: pending; else as sluice_filter_async: -EBUSY while sends or receives are in progress, -EALREADY
 * for a second handshake, -EPERM from another thread. Since 0.1.
 */
int sluice_tls_handshake_async(struct sluice_tls_context *context, struct sluice_socket *socket,
			       const struct sluice_tls_options *options, struct sluice_args *args,
			       struct sluice_tls **ret_tls);

struct sluice_tls_statistics {
	size_t size;           /* set by you: sizeof this */
	uint32_t established;  /* not 0: the handshake succeeded */
	uint32_t version;      /* SLUICE_TLS_VERSION_* */
	uint32_t sends_way;    /* SLUICE_TLS_WAY_KERNEL or _LIBRARY; AUTO: not established */
	uint32_t receives_way; /* who decrypts */
	uint32_t resumed;      /* not 0: a session was resumed, or a secret used */
	uint32_t reserved;
	uint64_t records_sealed; /* TLS records that the library encrypted */
	uint64_t bytes_sealed;   /* of the application's, in them */
};

/* Fills in the first statistics->size bytes. The engine's thread. 0; -EINVAL. Since 0.1. */
int sluice_tls_statistics(const struct sluice_tls *tls, struct sluice_tls_statistics *statistics);

/* Why the handshake or the stream failed, "" if it did not. Lives as long as tls. Since 0.1. */
const char *sluice_tls_error_text(const struct sluice_tls *tls);

/* The cipher suite, the protocol of ALPN and the name of SNI; NULL for none. Since 0.1. */
const char *sluice_tls_cipher(const struct sluice_tls *tls);
const char *sluice_tls_protocol(const struct sluice_tls *tls);
const char *sluice_tls_server_name(const struct sluice_tls *tls);

/*
 * The peer's certificate (DER), and the session that can be resumed, which with TLS 1.3 comes with
 * what is received. Writes up to capacity bytes. The whole length; 0 for none. The engine's thread.
 * Since 0.1.
 */
size_t sluice_tls_peer_certificate(const struct sluice_tls *tls, void *buffer, size_t capacity);
size_t sluice_tls_session(const struct sluice_tls *tls, void *buffer, size_t capacity);

struct sluice_tls_probe {
	size_t size;          /* set by you: sizeof this */
	uint32_t kernel;      /* not 0: the kernel takes sessions over */
	int32_t kernel_error; /* why not: its errno; ENOSYS: this OpenSSL does not ask it */
	const char *openssl;  /* the version of OpenSSL that runs */
};

/* Asks the kernel and OpenSSL. Any thread. 0; -EINVAL; -EMFILE. Since 0.1. */
int sluice_tls_probe(struct sluice_tls_probe *probe);

#ifdef __cplusplus
}
#endif
#endif
