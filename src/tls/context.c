/* SPDX-License-Identifier: MIT */
/* Contexts: makes an OpenSSL context per certificate from the options. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls/inside.h"

#define SECRET_LEAST 32u
#define SECRET_MOST 64u
#define TICKET_KEYS 80 /* bytes of OpenSSL's ticket keys */

static const char default_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/* Suites with the hash of the secret's session: with others OpenSSL would not offer the secret. */
static const char secret_suites[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

/* Copies and checks the options; the caller's structure may be smaller or larger than this one. */
static int copy_options(struct sluice_tls_context_options *own,
			const struct sluice_tls_context_options *given)
{
	if (!given || given->size < sizeof given->size + 2 * sizeof(uint32_t))
		return -EINVAL;
	memset(own, 0, sizeof *own);
	memcpy(own, given, given->size < sizeof *own ? given->size : sizeof *own);
	if (own->role > SLUICE_TLS_SERVER || own->way > SLUICE_TLS_WAY_LIBRARY ||
	    own->verify > SLUICE_TLS_VERIFY_REQUIRED)
		return -EINVAL;
	if (own->secret && (own->secret_length < SECRET_LEAST || own->secret_length > SECRET_MOST))
		return -EINVAL;
	if (own->secret && own->version_max && own->version_max < SLUICE_TLS_VERSION_1_3)
		return -EINVAL;
	if (own->role == SLUICE_TLS_SERVER && !own->certificate_count && !own->secret)
		return -EINVAL;
	if ((own->certificate_count && !own->certificates) ||
	    (own->protocol_count && !own->protocols))
		return -EINVAL;
	if (!own->version_min)
		own->version_min = SLUICE_TLS_VERSION_1_2;
	if (!own->version_max)
		own->version_max = SLUICE_TLS_VERSION_1_3;
	if (own->secret)
		own->version_min = SLUICE_TLS_VERSION_1_3;
	if (own->version_min < SLUICE_TLS_VERSION_1_2 ||
	    own->version_max > SLUICE_TLS_VERSION_1_3 || own->version_min > own->version_max)
		return -EINVAL;
	return 0;
}

static int report_context_error(const struct sluice_tls_context_options *options, int error,
				const char *what)
{
	if (error == -EBADMSG)
		tls_error_text(options->error_text, options->error_capacity, what);
	else if (options->error_text && options->error_capacity)
		snprintf(options->error_text, options->error_capacity, "%s: %s", what,
			 strerror(-error));
	ERR_clear_error();
	return error;
}

/* OpenSSL's errors do not distinguish a missing file from a malformed one. */
static int check_file(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (!path)
		return -EINVAL;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* ---- OpenSSL contexts ---- */

/* Without a callback OpenSSL prompts for the pass phrase of an encrypted key on the terminal. */
static int no_pass_phrase(char *buffer, int size, int writing, void *token)
{
	bool *asked = token;

	*asked = true;
	return -1;
}

/* The text for a common error of a certificate or key, or NULL. */
static const char *reason_of(unsigned long code, const char *missing)
{
	bool is_x509 = ERR_GET_LIB(code) == ERR_LIB_X509;
	int reason = ERR_GET_REASON(code);

	if (ERR_GET_LIB(code) == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE)
		return missing;
	if (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER)
		return missing;
	/* OpenSSL reports a key of another type than the certificate's as a missing certificate. */
	if ((is_x509 &&
	     (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH)) ||
	    (ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_NO_CERTIFICATE_ASSIGNED))
		return "the key does not belong to the certificate";
	return NULL;
}

static int report_bad_file(const struct sluice_tls_context_options *options, const char *path,
			   const char *missing, bool asked)
{
	const char *reason = NULL;
	unsigned long code, last = ERR_peek_last_error();

	if (asked)
		reason = "the key is encrypted with a pass phrase; decrypt it first";
	while ((code = ERR_get_error()) && !reason)
		reason = reason_of(code, missing);
	if (!reason)
		reason = ERR_reason_error_string(last) ?: "it cannot be read";
	if (options->error_text && options->error_capacity)
		snprintf(options->error_text, options->error_capacity, "%s: %s", path, reason);
	ERR_clear_error();
	return -EBADMSG;
}

static int load_certificate(const struct sluice_tls_context_options *options, SSL_CTX *made,
			    const struct sluice_tls_certificate *certificate)
{
	int error = check_file(certificate->certificate_file);
	bool asked = false;

	if (error)
		return report_context_error(options, error,
					    certificate->certificate_file ?: "no certificate");
	error = check_file(certificate->key_file);
	if (error)
		return report_context_error(options, error, certificate->key_file ?: "no key");
	if (SSL_CTX_use_certificate_chain_file(made, certificate->certificate_file) != 1)
		return report_bad_file(options, certificate->certificate_file,
				       "no certificate in PEM format in it", false);
	SSL_CTX_set_default_passwd_cb(made, no_pass_phrase);
	SSL_CTX_set_default_passwd_cb_userdata(made, &asked);
	if (SSL_CTX_use_PrivateKey_file(made, certificate->key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(made) != 1)
		error = report_bad_file(options, certificate->key_file,
					"no private key in PEM format in it", asked);
	SSL_CTX_set_default_passwd_cb(made, NULL);
	return error;
}

static int load_authorities(const struct sluice_tls_context_options *options, SSL_CTX *made)
{
	const char *path = options->authorities_file;
	int error;

	if (!path) {
		/* To read a hundred certificates takes ten times as long as all else, for nothing here. */
		if (options->role == SLUICE_TLS_CLIENT && !options->secret)
			SSL_CTX_set_default_verify_paths(made);
		return 0;
	}
	error = check_file(path);
	if (error)
		return report_context_error(options, error, path);
	if (SSL_CTX_load_verify_file(made, path) != 1)
		return report_context_error(options, -EBADMSG, path);
	if (options->role == SLUICE_TLS_SERVER)
		SSL_CTX_set_client_CA_list(made, SSL_load_client_CA_file(path));
	return 0;
}

static void set_verify(const struct sluice_tls_context_options *options, SSL_CTX *made)
{
	uint32_t verify = options->verify;
	int mode = SSL_VERIFY_NONE;

	if (verify == SLUICE_TLS_VERIFY_DEFAULT)
		verify = options->role == SLUICE_TLS_CLIENT ? SLUICE_TLS_VERIFY_REQUIRED
							    : SLUICE_TLS_VERIFY_NONE;
	if (verify != SLUICE_TLS_VERIFY_NONE)
		mode = SSL_VERIFY_PEER;
	if (verify == SLUICE_TLS_VERIFY_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(made, mode, NULL);
}

static int set_ciphers(const struct sluice_tls_context_options *options, SSL_CTX *made)
{
	const char *suites = options->cipher_suites;

	if (!suites && options->secret)
		suites = secret_suites;
	if (SSL_CTX_set_cipher_list(made, options->ciphers ?: default_ciphers) != 1)
		return report_context_error(options, -EBADMSG, "ciphers");
	if (suites && SSL_CTX_set_ciphersuites(made, suites) != 1)
		return report_context_error(options, -EBADMSG, "cipher_suites");
	return 0;
}

static void set_tickets(const struct sluice_tls_context_options *options, SSL_CTX *made)
{
	unsigned char keys[TICKET_KEYS];

	/* Session tickets keep the state at the client, so the server needs no cache. */
	SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
	if (options->role == SLUICE_TLS_SERVER)
		SSL_CTX_set_session_id_context(made, (const unsigned char *)TLS_NAME,
					       sizeof TLS_NAME - 1);
	if (options->no_tickets || options->secret) {
		SSL_CTX_set_options(made, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(made, 0);
	} else if (options->predecessor && options->role == SLUICE_TLS_SERVER &&
		   SSL_CTX_get_tlsext_ticket_keys(options->predecessor->certificates[0], keys,
						  TICKET_KEYS) == 1) {
		SSL_CTX_set_tlsext_ticket_keys(made, keys, TICKET_KEYS);
		OPENSSL_cleanse(keys, sizeof keys);
	}
}

static int configure_context(struct sluice_tls_context *context,
			     const struct sluice_tls_context_options *options, SSL_CTX *made,
			     const struct sluice_tls_certificate *certificate)
{
	int error;

	SSL_CTX_set_min_proto_version(made, (int)options->version_min);
	SSL_CTX_set_max_proto_version(made, (int)options->version_max);
	SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					  SSL_OP_CIPHER_SERVER_PREFERENCE |
					  SSL_OP_PRIORITIZE_CHACHA);
	if (!context->read_ahead)
		SSL_CTX_set_options(made, SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				       SSL_MODE_ENABLE_PARTIAL_WRITE);
	set_tickets(options, made);
	set_verify(options, made);
	tls_names_set(context, made);
	error = set_ciphers(options, made);
	if (!error)
		error = load_authorities(options, made);
	if (!error && certificate)
		error = load_certificate(options, made, certificate);
	return error;
}

/* ---- contexts ---- */

static int copy_protocols(struct sluice_tls_context *context,
			  const struct sluice_tls_context_options *options)
{
	size_t length = 0, at = 0;

	for (size_t i = 0; i < options->protocol_count; i++) {
		size_t one = options->protocols[i] ? strlen(options->protocols[i]) : 0;

		if (one < 1 || one > 255)
			return -EINVAL;
		length += one + 1;
	}
	if (!length)
		return 0;
	context->protocols = malloc(length);
	context->protocol_names = calloc(options->protocol_count, sizeof(char *));
	if (!context->protocols || !context->protocol_names)
		return -ENOMEM;
	for (size_t i = 0; i < options->protocol_count; i++) {
		size_t one = strlen(options->protocols[i]);

		context->protocols[at++] = (unsigned char)one;
		memcpy(context->protocols + at, options->protocols[i], one);
		at += one;
		context->protocol_names[i] = strdup(options->protocols[i]);
		if (!context->protocol_names[i])
			return -ENOMEM;
		context->protocol_count++;
	}
	context->protocols_length = (unsigned int)length;
	return 0;
}

static int copy_secret(struct sluice_tls_context *context,
		       const struct sluice_tls_context_options *options)
{
	if (!options->secret)
		return 0;
	context->secret = malloc(options->secret_length);
	context->secret_name = strdup(options->secret_name ?: TLS_NAME);
	if (!context->secret || !context->secret_name)
		return -ENOMEM;
	memcpy(context->secret, options->secret, options->secret_length);
	context->secret_length = options->secret_length;
	return 0;
}

/* Adds the certificate to an earlier one for the same names: OpenSSL selects by key type. */
static int join_twin(struct sluice_tls_context *context,
		     const struct sluice_tls_context_options *options, SSL_CTX *made,
		     const struct sluice_tls_certificate *certificate)
{
	SSL_CTX *twin = tls_names_twin(context, made);
	X509 *own = twin ? SSL_CTX_get0_certificate(twin) : NULL;
	int error;

	if (!twin)
		return 0;
	error = load_certificate(options, twin, certificate);
	SSL_CTX_select_current_cert(twin, own);
	return error;
}

static int make_certificates(struct sluice_tls_context *context,
			     const struct sluice_tls_context_options *options)
{
	size_t count = options->certificate_count ? options->certificate_count : 1;
	const struct sluice_tls_certificate *certificate;
	int error = 0;

	context->certificates = calloc(count, sizeof(SSL_CTX *));
	if (!context->certificates)
		return -ENOMEM;
	for (size_t i = 0; i < count && !error; i++) {
		SSL_CTX *made =
			SSL_CTX_new(context->server ? TLS_server_method() : TLS_client_method());

		if (!made)
			return -ENOMEM;
		context->certificates[context->certificate_count++] = made;
		certificate = options->certificate_count ? &options->certificates[i] : NULL;
		error = configure_context(context, options, made, certificate);
		if (!error && certificate && context->server)
			error = join_twin(context, options, made, certificate);
	}
	return error;
}

int sluice_tls_context_create(struct sluice_tls_context **ret_context,
			      const struct sluice_tls_context_options *options)
{
	struct sluice_tls_context_options own;
	struct sluice_tls_context *context;
	int error;

	if (!ret_context)
		return -EINVAL;
	*ret_context = NULL;
	error = copy_options(&own, options);
	if (error)
		return error;
	context = calloc(1, sizeof *context);
	if (!context)
		return -ENOMEM;
	context->references = 1;
	context->server = own.role == SLUICE_TLS_SERVER;
	context->way = own.way;
	context->read_ahead = own.way == SLUICE_TLS_WAY_LIBRARY ||
			      (own.way == SLUICE_TLS_WAY_AUTO && tls_probe_kernel() != 0);
	pthread_mutex_init(&context->lock, NULL);
	error = copy_protocols(context, &own);
	if (!error)
		error = copy_secret(context, &own);
	if (!error)
		error = make_certificates(context, &own);
	if (error) {
		sluice_tls_context_destroy(context);
		return error;
	}
	*ret_context = context;
	return 0;
}

void tls_context_hold(struct sluice_tls_context *context)
{
	__atomic_fetch_add(&context->references, 1, __ATOMIC_RELAXED);
}

void sluice_tls_context_destroy(struct sluice_tls_context *context)
{
	if (!context || __atomic_sub_fetch(&context->references, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < context->certificate_count; i++)
		SSL_CTX_free(context->certificates[i]);
	free(context->certificates);
	for (size_t i = 0; i < context->protocol_count; i++)
		free(context->protocol_names[i]);
	free(context->protocol_names);
	free(context->protocols);
	if (context->secret)
		OPENSSL_cleanse(context->secret, context->secret_length);
	free(context->secret);
	free(context->secret_name);
	tls_outputs_free(context);
	pthread_mutex_destroy(&context->lock);
	free(context);
}
