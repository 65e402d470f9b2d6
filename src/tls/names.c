/* SPDX-License-Identifier: MIT */
/* Callbacks of the handshake: the certificate by name, the protocol, the secret. */
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/inside.h"

/* ---- SNI ---- */

static SSL_CTX *find_name(const struct sluice_tls_context *context, const char *name,
			  unsigned int flags)
{
	for (size_t i = 0; i < context->certificate_count; i++) {
		X509 *leaf = SSL_CTX_get0_certificate(context->certificates[i]);

		if (leaf && X509_check_host(leaf, name, 0, flags, NULL) == 1)
			return context->certificates[i];
	}
	return NULL;
}

/*
 * An exact name takes precedence over a wildcard. If no certificate has the name, the first one is
 * used, and the client decides.
 */
static int on_server_name(SSL *ssl, int *alert, void *argument)
{
	struct sluice_tls_context *context = argument;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *found;

	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	found = find_name(context, name, X509_CHECK_FLAG_NO_WILDCARDS);
	if (!found)
		found = find_name(context, name, 0);
	if (found && found != context->certificates[0])
		SSL_set_SSL_CTX(ssl, found);
	return SSL_TLSEXT_ERR_OK;
}

/* Whether the second has every name of the first. */
static bool has_names(X509 *first, X509 *second)
{
	const unsigned int flags = X509_CHECK_FLAG_NO_WILDCARDS |
				   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	GENERAL_NAMES *names = X509_get_ext_d2i(first, NID_subject_alt_name, NULL, NULL);
	bool all = names && sk_GENERAL_NAME_num(names) > 0;

	for (int i = 0; all && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		all = X509_check_host(second, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
				      (size_t)ASN1_STRING_length(name->d.dNSName), flags,
				      NULL) == 1;
	}
	GENERAL_NAMES_free(names);
	return all;
}

SSL_CTX *tls_names_twin(const struct sluice_tls_context *context, const SSL_CTX *made)
{
	X509 *mine = SSL_CTX_get0_certificate(made);

	for (size_t i = 0; mine && i < context->certificate_count; i++) {
		X509 *other = SSL_CTX_get0_certificate(context->certificates[i]);

		if (!other || context->certificates[i] == made ||
		    EVP_PKEY_get_base_id(X509_get0_pubkey(other)) ==
			    EVP_PKEY_get_base_id(X509_get0_pubkey(mine)))
			continue;
		if (has_names(mine, other) && has_names(other, mine))
			return context->certificates[i];
	}
	return NULL;
}

/* ---- ALPN ---- */

static int on_protocols(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_length,
			const unsigned char *offered, unsigned int offered_length, void *argument)
{
	const struct sluice_tls_context *context = argument;
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, ret_length, context->protocols,
				  context->protocols_length, offered,
				  offered_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_chosen = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- secrets (RFC 8446, external pre-shared keys) ---- */

/* A session with SHA-256, which the cipher suite must use too. NULL if out of memory. */
static SSL_SESSION *secret_session(SSL *ssl, const struct sluice_tls_context *context)
{
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, (const unsigned char *)TLS_DIGEST_SUITE);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && cipher &&
	    SSL_SESSION_set1_master_key(session, context->secret, context->secret_length) == 1 &&
	    SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static const struct sluice_tls_context *context_of(const SSL *ssl)
{
	const struct sluice_tls *tls = SSL_get_app_data(ssl);

	return tls->context;
}

static int use_secret(SSL *ssl, const EVP_MD *digest, const unsigned char **ret_name,
		      size_t *ret_length, SSL_SESSION **ret_session)
{
	const struct sluice_tls_context *context = context_of(ssl);

	*ret_session = NULL;
	/* A second hello after another hash was negotiated: the secret cannot be used. */
	if (digest && EVP_MD_get_type(digest) != NID_sha256)
		return 1;
	*ret_session = secret_session(ssl, context);
	*ret_name = (const unsigned char *)context->secret_name;
	*ret_length = strlen(context->secret_name);
	return *ret_session != NULL;
}

static int find_secret(SSL *ssl, const unsigned char *name, size_t length,
		       SSL_SESSION **ret_session)
{
	const struct sluice_tls_context *context = context_of(ssl);

	*ret_session = NULL;
	if (length != strlen(context->secret_name) ||
	    memcmp(name, context->secret_name, length) != 0)
		return 1;
	*ret_session = secret_session(ssl, context);
	return *ret_session != NULL;
}

void tls_names_set(struct sluice_tls_context *context, SSL_CTX *ssl_context)
{
	if (context->server) {
		SSL_CTX_set_tlsext_servername_callback(ssl_context, on_server_name);
		SSL_CTX_set_tlsext_servername_arg(ssl_context, context);
		if (context->protocols)
			SSL_CTX_set_alpn_select_cb(ssl_context, on_protocols, context);
		if (context->secret)
			SSL_CTX_set_psk_find_session_callback(ssl_context, find_secret);
		return;
	}
	if (context->protocols)
		SSL_CTX_set_alpn_protos(ssl_context, context->protocols, context->protocols_length);
	if (context->secret)
		SSL_CTX_set_psk_use_session_callback(ssl_context, use_secret);
}
