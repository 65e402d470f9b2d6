/* SPDX-License-Identifier: MIT */
/* A TLS session, as a filter of its socket. */
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <sluice/filter.h>
#include <sluice/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/inside.h"

/* ---- the handshake ---- */

/* If the secrets differ, OpenSSL falls back to a certificate, or to none: refuse that. */
static int check_secret(struct sluice_tls *tls)
{
	if (!tls->context->secret || SSL_session_reused(tls->ssl))
		return 0;
	snprintf(tls->text, sizeof tls->text, "the peer does not have the same secret");
	return -EACCES;
}

static int finish_handshake(struct sluice_tls *tls, uint32_t *ret_events)
{
	int error = check_secret(tls);

	if (error)
		return error;
	tls->kernel = BIO_get_ktls_send(SSL_get_wbio(tls->ssl));
	if (!tls->kernel && tls->context->way == SLUICE_TLS_WAY_KERNEL) {
		snprintf(tls->text, sizeof tls->text, "the kernel does not take %s over",
			 SSL_get_cipher(tls->ssl));
		return -EOPNOTSUPP;
	}
	tls->buffered = !tls->kernel;
	if (tls->kernel)
		tls_pushed_begin(&tls->pushed, tls->fd);
	tls->established = true;
	/* Read more than a record header at a time; earlier, it would prevent kTLS. */
	SSL_set_read_ahead(tls->ssl, 1);
	*ret_events = SLUICE_FILTER_READ | (tls->kernel ? 0 : SLUICE_FILTER_WRITE);
	return 0;
}

static int filter_open(void *token, uint32_t *ret_events)
{
	struct sluice_tls *tls = token;
	int result, error;

	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(tls->ssl);
	if (result == 1)
		return finish_handshake(tls, ret_events);
	*ret_events = SSL_want_write(tls->ssl) ? SLUICE_FILTER_WRITE : SLUICE_FILTER_READ;
	error = tls_error(tls, result);
	return error;
}

/* ---- sending ---- */

static int write_record(struct sluice_tls *tls, const void *bytes, size_t length)
{
	size_t written;
	int result = SSL_write_ex(tls->ssl, bytes, length, &written);

	if (result != 1)
		return tls_error(tls, result);
	assert(written == length);
	tls_output_mark(tls->output, length);
	tls->records_sealed++;
	tls->bytes_sealed += length;
	return 0;
}

/* The position of the next bytes in a list of segments. */
struct cursor {
	const struct iovec *segments;
	size_t count;
	size_t index;
	size_t at;
};

static size_t rest_of_segment(struct cursor *cursor, const char **ret_bytes)
{
	while (cursor->index < cursor->count &&
	       cursor->at == cursor->segments[cursor->index].iov_len) {
		cursor->index++;
		cursor->at = 0;
	}
	if (cursor->index == cursor->count)
		return 0;
	*ret_bytes = (const char *)cursor->segments[cursor->index].iov_base + cursor->at;
	return cursor->segments[cursor->index].iov_len - cursor->at;
}

/* The bytes of the next record: in place if they are contiguous, else gathered. 0: no more. */
static size_t next_record_bytes(struct cursor *cursor, unsigned char *staging,
				const void **ret_bytes)
{
	const char *bytes = NULL;
	size_t length = rest_of_segment(cursor, &bytes), used = 0;

	*ret_bytes = bytes;
	if (length >= TLS_RECORD || cursor->index + 1 >= cursor->count) {
		length = length < TLS_RECORD ? length : TLS_RECORD;
		cursor->at += length;
		return length;
	}
	while (used < TLS_RECORD && (length = rest_of_segment(cursor, &bytes))) {
		size_t part = length < TLS_RECORD - used ? length : TLS_RECORD - used;

		memcpy(staging + used, bytes, part);
		used += part;
		cursor->at += part;
	}
	*ret_bytes = staging;
	return used;
}

static int seal_batch(struct sluice_tls *tls, struct cursor *cursor, uint64_t *ret_sealed)
{
	const void *bytes;
	size_t length;

	while (*ret_sealed < TLS_BATCH &&
	       (length = next_record_bytes(cursor, tls->output->staging, &bytes))) {
		int error = write_record(tls, bytes, length);

		if (error)
			return error;
		*ret_sealed += length;
	}
	return 0;
}

static void seal_end(struct sluice_tls *tls)
{
	int result;

	ERR_clear_error();
	result = SSL_shutdown(tls->ssl);
	/* SSL_want_write is true after an error as well. */
	tls->unended = tls->kernel && result < 0 &&
		       SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_WRITE;
	ERR_clear_error();
	if (tls->output)
		tls_output_extend(tls->output);
}

static int64_t filter_seal(void *token, const struct iovec *segments, size_t count, uint32_t flags)
{
	struct sluice_tls *tls = token;
	struct cursor cursor = {segments, count, 0, 0};
	const char *rest;
	uint64_t sealed = 0;
	int error;

	if (tls->error)
		return tls->error;
	if (!tls->output)
		tls->output = tls_output_take(tls->context);
	if (!tls->output)
		return -ENOMEM;
	ERR_clear_error();
	error = seal_batch(tls, &cursor, &sealed);
	if (error) {
		tls->error = error == -EAGAIN ? -EPROTO : error;
		return tls->error;
	}
	if ((flags & SLUICE_FILTER_LAST) && rest_of_segment(&cursor, &rest) == 0)
		seal_end(tls);
	return (int64_t)sealed;
}

static size_t filter_output(void *token, const void **ret_base)
{
	struct sluice_tls *tls = token;

	if (!tls->output)
		return 0;
	*ret_base = tls->output->bytes + tls->output->start;
	return tls->output->end - tls->output->start;
}

static uint64_t filter_sent(void *token, size_t bytes)
{
	struct sluice_tls *tls = token;
	uint64_t plain = tls_output_sent(tls->output, bytes);

	if (tls->output->start == tls->output->end) {
		tls_output_give(tls->context, tls->output);
		tls->output = NULL;
	}
	return plain;
}

static void filter_end(void *token)
{
	seal_end(token);
}

static int filter_unended(void *token)
{
	const struct sluice_tls *tls = token;

	return tls->unended;
}

static int filter_unpushed(void *token, uint64_t bytes)
{
	const struct sluice_tls *tls = token;

	return tls->kernel && tls_pushed_lacks(&tls->pushed, tls->fd, bytes);
}

/* ---- receiving ---- */

static int64_t receive_one(struct sluice_tls *tls, const struct iovec *segment, uint32_t flags)
{
	size_t got = 0;
	int result, error;

	errno = 0;
	if (flags & SLUICE_FILTER_PEEK)
		result = SSL_peek_ex(tls->ssl, segment->iov_base, segment->iov_len, &got);
	else
		result = SSL_read_ex(tls->ssl, segment->iov_base, segment->iov_len, &got);
	tls->drained = false;
	if (result == 1)
		return (int64_t)got;
	if (SSL_get_error(tls->ssl, result) == SSL_ERROR_ZERO_RETURN)
		return 0;
	error = tls_error(tls, result);
	if (error == -EAGAIN)
		tls->drained = true;
	else
		tls->error = error;
	return error;
}

static int64_t filter_receive(void *token, const struct iovec *segments, size_t count,
			      uint32_t flags)
{
	struct sluice_tls *tls = token;
	int64_t all = 0;

	if (tls->error)
		return tls->error;
	ERR_clear_error();
	for (size_t i = 0; i < count; i++) {
		int64_t got;

		if (!segments[i].iov_len)
			continue;
		if (all && !SSL_pending(tls->ssl))
			break;
		got = receive_one(tls, &segments[i], flags);
		if (got <= 0)
			return all ? all : got;
		all += got;
		/* A second peek would return the same bytes again. */
		if ((size_t)got < segments[i].iov_len || (flags & SLUICE_FILTER_PEEK))
			break;
	}
	return all;
}

static int filter_pending(void *token)
{
	const struct sluice_tls *tls = token;

	return tls->error || (!tls->drained && SSL_has_pending(tls->ssl)) ||
	       (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN);
}

static void filter_destroy(void *token)
{
	struct sluice_tls *tls = token;

	SSL_free(tls->ssl);
	if (tls->output)
		tls_output_give(tls->context, tls->output);
	sluice_tls_context_destroy(tls->context);
	free(tls);
}

/* ---- starting ---- */

static int set_client(struct sluice_tls *tls, const struct sluice_tls_options *options)
{
	SSL_SESSION *session;
	const unsigned char *at;

	SSL_set_connect_state(tls->ssl);
	if (!options)
		return 0;
	if (options->server_name &&
	    (SSL_set_tlsext_host_name(tls->ssl, options->server_name) != 1 ||
	     SSL_set1_host(tls->ssl, options->server_name) != 1))
		return -EINVAL;
	if (!options->session)
		return 0;
	at = options->session;
	session = d2i_SSL_SESSION(NULL, &at, (long)options->session_length);
	if (!session)
		return -EINVAL;
	SSL_set_session(tls->ssl, session);
	SSL_SESSION_free(session);
	return 0;
}

static int make_session(struct sluice_tls_context *context, struct sluice_socket *socket,
			const struct sluice_tls_options *options, struct sluice_tls **ret_tls)
{
	struct sluice_tls *tls = calloc(1, sizeof *tls);
	BIO *bio;

	if (!tls)
		return -ENOMEM;
	tls->context = context;
	tls_context_hold(context);
	tls->fd = sluice_socket_fd(socket);
	tls->ssl = SSL_new(context->certificates[0]);
	bio = tls->ssl ? tls_bio_new(tls) : NULL;
	*ret_tls = tls;
	if (!bio)
		return -ENOMEM;
	SSL_set_app_data(tls->ssl, tls);
	if (context->read_ahead)
		SSL_set_read_ahead(tls->ssl, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	if (context->server)
		SSL_set_accept_state(tls->ssl);
	return context->server ? 0 : set_client(tls, options);
}

int sluice_tls_handshake_async(struct sluice_tls_context *context, struct sluice_socket *socket,
			       const struct sluice_tls_options *options, struct sluice_args *args,
			       struct sluice_tls **ret_tls)
{
	struct sluice_filter filter = {
		.size = sizeof filter,
		.open = filter_open,
		.seal = filter_seal,
		.output = filter_output,
		.sent = filter_sent,
		.end = filter_end,
		.receive = filter_receive,
		.pending = filter_pending,
		.destroy = filter_destroy,
		.unended = filter_unended,
		.unpushed = filter_unpushed,
	};
	struct sluice_tls *tls = NULL;
	int answer;

	if (ret_tls)
		*ret_tls = NULL;
	if (!context || !socket || !args || (options && options->size < sizeof *options))
		return -EINVAL;
	if (sluice_socket_fd(socket) < 0)
		return -EBADF;
	answer = make_session(context, socket, options, &tls);
	ERR_clear_error();
	if (answer == 0) {
		filter.token = tls;
		if (ret_tls)
			*ret_tls = tls;
		answer = sluice_filter_async(socket, &filter, args);
	}
	if (answer < 0) {
		if (ret_tls)
			*ret_tls = NULL;
		if (tls)
			filter_destroy(tls);
	}
	return answer;
}
