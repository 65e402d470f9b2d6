/* SPDX-License-Identifier: MIT */
/* The inside of libsluice-tls, which uses libsluice through its public headers alone. */
#ifndef SLUICE_SRC_TLS_INSIDE_H
#define SLUICE_SRC_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <sluice/tls.h>
#include <stdbool.h>

#define TLS_RECORD 16384u           /* the most bytes of a record */
#define TLS_BATCH (8u * TLS_RECORD) /* that are sealed before the kernel is asked */
#define TLS_BATCH_RECORDS 16u       /* of which it knows the ends */
#define TLS_ERROR_TEXT 160u
#define TLS_NAME "sluice"           /* of a secret that has none */
#define TLS_DIGEST_SUITE "\x13\x01" /* TLS_AES_128_GCM_SHA256 */

/* ---- contexts ---- */

struct tls_output;

struct sluice_tls_context {
	uint32_t references; /* atomic */
	bool server;
	uint32_t way;
	SSL_CTX **certificates; /* one for each, the first is the default; one without any */
	size_t certificate_count;
	unsigned char *protocols; /* ALPN, as on the wire */
	unsigned int protocols_length;
	char **protocol_names;
	size_t protocol_count;
	unsigned char *secret;
	size_t secret_length;
	char *secret_name;
	pthread_mutex_t lock;
	struct tls_output *outputs; /* free ones, under the lock */
	uint32_t output_count;
};

void tls_context_hold(struct sluice_tls_context *context);

/* names.c: what a handshake is answered with: SNI, ALPN and secrets. */
void tls_names_set(struct sluice_tls_context *context, SSL_CTX *ssl_context);
/* An earlier one that is for the same names, with a key of another kind; or NULL. */
SSL_CTX *tls_names_twin(const struct sluice_tls_context *context, const SSL_CTX *made);

/* ---- output: sealed records that the kernel has yet to take ---- */

struct tls_output {
	struct tls_output *next; /* in the pool */
	size_t start;            /* the kernel has what is before */
	size_t end;
	size_t capacity;
	unsigned char *bytes;
	uint32_t record_count;
	uint32_t record_gone;
	struct {
		size_t end;     /* in bytes */
		uint64_t plain; /* of the application's, complete with it */
	} records[TLS_BATCH_RECORDS];
	unsigned char staging[TLS_RECORD]; /* small segments, put together into a record */
};

/* NULL without memory. An idle connection has none. */
struct tls_output *tls_output_take(struct sluice_tls_context *context);
void tls_output_give(struct sluice_tls_context *context, struct tls_output *output);
bool tls_output_append(struct tls_output *output, const void *bytes, size_t length);
/* What has been appended since the last mark completes so many bytes. */
void tls_output_mark(struct tls_output *output, uint64_t plain);
/* What has been appended since the last mark belongs to it. */
void tls_output_extend(struct tls_output *output);
uint64_t tls_output_sent(struct tls_output *output, size_t bytes);
void tls_outputs_free(struct sluice_tls_context *context);

/* ---- sessions ---- */

struct sluice_tls {
	struct sluice_tls_context *context;
	SSL *ssl;
	int fd;
	bool buffered; /* what OpenSSL writes becomes output */
	bool kernel;   /* the kernel encrypts */
	bool established;
	bool drained; /* the descriptor was empty, and what was read is not a whole record */
	bool at_end;  /* the descriptor has met the end of the stream */
	int error;    /* of the stream, -errno; 0 */
	struct tls_output *output;
	uint64_t records_sealed;
	uint64_t bytes_sealed;
	char text[TLS_ERROR_TEXT];
};

/* bio.c: between OpenSSL and the descriptor. NULL without memory. */
BIO *tls_bio_new(struct sluice_tls *tls);

/* error.c: the reason of the last failure, in words, and as -errno. */
int tls_error(struct sluice_tls *tls, int result);
void tls_error_text(char *text, size_t capacity, const char *what);

#endif
