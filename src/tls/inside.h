/* SPDX-License-Identifier: MIT */
/* Internals of libsluice-tls, which uses only public headers of libsluice. */
#ifndef SLUICE_SRC_TLS_INSIDE_H
#define SLUICE_SRC_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <sluice/tls.h>
#include <stdbool.h>

#define TLS_RECORD 16384u           /* most bytes of a TLS record */
#define TLS_BATCH (8u * TLS_RECORD) /* most bytes sealed before they are sent */
#define TLS_BATCH_RECORDS 16u       /* most records in a batch */
#define TLS_ERROR_TEXT 160u
#define TLS_NAME "sluice"           /* default name of a secret */
#define TLS_DIGEST_SUITE "\x13\x01" /* TLS_AES_128_GCM_SHA256 */

/* ---- contexts ---- */

struct tls_output;

struct sluice_tls_context {
	uint32_t references; /* atomic */
	bool server;
	uint32_t way;
	bool read_ahead;        /* also in the handshake: the kernel never takes a session over */
	SSL_CTX **certificates; /* one per certificate, the default first; at least one */
	size_t certificate_count;
	unsigned char *protocols; /* ALPN, in wire format */
	unsigned int protocols_length;
	char **protocol_names;
	size_t protocol_count;
	unsigned char *secret;
	size_t secret_length;
	char *secret_name;
	pthread_mutex_t lock;
	struct tls_output *outputs; /* free outputs, guarded by lock */
	uint32_t output_count;
};

void tls_context_hold(struct sluice_tls_context *context);

/* ask.c: whether the kernel has TLS. 0 or -errno. */
int tls_probe_kernel(void);

/* names.c: the callbacks of SNI, ALPN and secrets */
void tls_names_set(struct sluice_tls_context *context, SSL_CTX *ssl_context);
/* An earlier certificate for the same names with a key of another type, or NULL. */
SSL_CTX *tls_names_twin(const struct sluice_tls_context *context, const SSL_CTX *made);

/* ---- output: sealed records that the kernel has not taken yet ---- */

struct tls_output {
	struct tls_output *next; /* in the pool */
	size_t start;            /* bytes before it were sent */
	size_t end;
	size_t capacity;
	unsigned char *bytes;
	uint32_t record_count;
	uint32_t record_gone;
	struct {
		size_t end;     /* offset in bytes */
		uint64_t plain; /* application bytes that this record completes */
	} records[TLS_BATCH_RECORDS];
	unsigned char staging[TLS_RECORD]; /* small segments, gathered into a record */
};

/* NULL if out of memory. An idle connection has no output. */
struct tls_output *tls_output_take(struct sluice_tls_context *context);
void tls_output_give(struct sluice_tls_context *context, struct tls_output *output);
bool tls_output_append(struct tls_output *output, const void *bytes, size_t length);
/* Ends a record: what was appended since the last mark completes plain bytes. */
void tls_output_mark(struct tls_output *output, uint64_t plain);
/* Adds what was appended since the last mark to the last record. */
void tls_output_extend(struct tls_output *output);
uint64_t tls_output_sent(struct tls_output *output, size_t bytes);
void tls_outputs_free(struct sluice_tls_context *context);

/* ---- what the kernel has encrypted ---- */

struct tls_pushed {
	bool begun;
	bool known;             /* what follows could be found out */
	uint32_t overhead;      /* bytes that encryption adds to each TLS record */
	uint64_t first_record;  /* the kernel's count of records, and the bytes in the stream, */
	uint64_t first_byte;    /* before it encrypted the first one */
	uint64_t control_bytes; /* of alerts and handshake records, which OpenSSL sends */
};

/* Called before the kernel encrypts the first record, and any number of times after that. */
void tls_pushed_begin(struct tls_pushed *pushed, int fd);
/* Whether TCP's queue lacks some of the records with these application bytes. */
bool tls_pushed_lacks(const struct tls_pushed *pushed, int fd, uint64_t application_bytes);

/* Encrypts a byte, and checks that its way into TCP's queue can be followed. 0 or -errno. */
int tls_pushed_try(int fd);

/* ---- sessions ---- */

struct sluice_tls {
	struct sluice_tls_context *context;
	SSL *ssl;
	int fd;
	bool buffered; /* writes of OpenSSL are stored as output */
	bool kernel;   /* the kernel encrypts */
	bool established;
	bool unended; /* the kernel has not taken the end of the stream yet */
	bool drained; /* the descriptor is empty, and less than a record is buffered */
	bool at_end;  /* the descriptor reached the end of the stream */
	int error;    /* error of the stream, -errno, or 0 */
	struct tls_output *output;
	uint64_t records_sealed;
	uint64_t bytes_sealed;
	struct tls_pushed pushed;
	char text[TLS_ERROR_TEXT];
};

/* bio.c: the BIO between OpenSSL and the descriptor. NULL if out of memory. */
BIO *tls_bio_new(struct sluice_tls *tls);

/* error.c: the reason of the last failure, as text and as -errno */
int tls_error(struct sluice_tls *tls, int result);
void tls_error_text(char *text, size_t capacity, const char *what);

#endif
