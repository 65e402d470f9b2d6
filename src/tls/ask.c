/* SPDX-License-Identifier: MIT */
/* Queries about a session, and about the TLS support of this machine. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tls/inside.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

int sluice_tls_statistics(const struct sluice_tls *tls, struct sluice_tls_statistics *statistics)
{
	struct sluice_tls_statistics all = {0};
	size_t size = statistics ? statistics->size : 0;

	if (!tls || size < sizeof size)
		return -EINVAL;
	all.size = size;
	all.established = tls->established;
	if (tls->established) {
		all.version = (uint32_t)SSL_version(tls->ssl);
		all.sends_way = tls->kernel ? SLUICE_TLS_WAY_KERNEL : SLUICE_TLS_WAY_LIBRARY;
		all.receives_way = BIO_get_ktls_recv(SSL_get_rbio(tls->ssl))
					   ? SLUICE_TLS_WAY_KERNEL
					   : SLUICE_TLS_WAY_LIBRARY;
		all.resumed = SSL_session_reused(tls->ssl) != 0;
	}
	all.records_sealed = tls->records_sealed;
	all.bytes_sealed = tls->bytes_sealed;
	memcpy(statistics, &all, size < sizeof all ? size : sizeof all);
	return 0;
}

const char *sluice_tls_error_text(const struct sluice_tls *tls)
{
	return tls ? tls->text : "";
}

const char *sluice_tls_cipher(const struct sluice_tls *tls)
{
	return tls && tls->established ? SSL_get_cipher_name(tls->ssl) : NULL;
}

const char *sluice_tls_server_name(const struct sluice_tls *tls)
{
	return tls ? SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
}

/* Returns the context's string: OpenSSL's is not terminated. */
const char *sluice_tls_protocol(const struct sluice_tls *tls)
{
	const unsigned char *protocol = NULL;
	unsigned int length = 0;

	if (tls && tls->established)
		SSL_get0_alpn_selected(tls->ssl, &protocol, &length);
	for (size_t i = 0; length && i < tls->context->protocol_count; i++) {
		if (strlen(tls->context->protocol_names[i]) == length &&
		    memcmp(tls->context->protocol_names[i], protocol, length) == 0)
			return tls->context->protocol_names[i];
	}
	return NULL;
}

static size_t copy_out(const void *from, int length, void *buffer, size_t capacity)
{
	size_t whole = length > 0 ? (size_t)length : 0;

	if (buffer && whole)
		memcpy(buffer, from, whole < capacity ? whole : capacity);
	return whole;
}

size_t sluice_tls_peer_certificate(const struct sluice_tls *tls, void *buffer, size_t capacity)
{
	X509 *certificate = tls ? SSL_get0_peer_certificate(tls->ssl) : NULL;
	unsigned char *bytes = NULL;
	int length = certificate ? i2d_X509(certificate, &bytes) : 0;
	size_t whole = copy_out(bytes, length, buffer, capacity);

	OPENSSL_free(bytes);
	return whole;
}

size_t sluice_tls_session(const struct sluice_tls *tls, void *buffer, size_t capacity)
{
	SSL_SESSION *session = tls && tls->established ? SSL_get0_session(tls->ssl) : NULL;
	unsigned char *bytes = NULL;
	size_t whole;
	int length;

	if (!session || !SSL_SESSION_is_resumable(session))
		return 0;
	length = i2d_SSL_SESSION(session, &bytes);
	whole = copy_out(bytes, length, buffer, capacity);
	OPENSSL_free(bytes);
	return whole;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm parts;

	return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

int sluice_tls_context_validity(const struct sluice_tls_context *context, size_t number,
				int64_t *ret_from, int64_t *ret_until)
{
	X509 *certificate = NULL;

	if (context && number < context->certificate_count)
		certificate = SSL_CTX_get0_certificate(context->certificates[number]);
	if (!certificate || !ret_from || !ret_until)
		return -EINVAL;
	*ret_from = seconds_of(X509_get0_notBefore(certificate));
	*ret_until = seconds_of(X509_get0_notAfter(certificate));
	return 0;
}

/* ---- the probe ---- */

/* On a connected pair, because kTLS requires a connected socket. Returns 0 or -errno. */
static int try_kernel(int listener, int client)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
	    connect(client, (struct sockaddr *)&address, length) < 0 ||
	    setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") < 0)
		return -errno;
	return tls_pushed_try(client);
}

int tls_probe_kernel(void)
{
#ifdef OPENSSL_NO_KTLS
	return -ENOSYS;
#else
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = listener < 0 || client < 0 ? -errno : try_kernel(listener, client);

	if (listener >= 0)
		close(listener);
	if (client >= 0)
		close(client);
	return error;
#endif
}

int sluice_tls_probe(struct sluice_tls_probe *probe)
{
	struct sluice_tls_probe all = {0};
	size_t size = probe ? probe->size : 0;
	int error;

	if (size < sizeof size)
		return -EINVAL;
	error = tls_probe_kernel();
	if (error == -EMFILE || error == -ENFILE)
		return error;
	all.size = size;
	all.kernel = error == 0;
	all.kernel_error = -error;
	all.openssl = OpenSSL_version(OPENSSL_VERSION);
	memcpy(probe, &all, size < sizeof all ? size : sizeof all);
	return 0;
}
