/* SPDX-License-Identifier: MIT */
/* OpenSSL's errors, as text and as errno. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "tls/inside.h"

void tls_error_text(char *text, size_t capacity, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (!text || !capacity)
		return;
	snprintf(text, capacity, reason ? "%s: %s" : "%s", what, reason ? reason : "");
}

static int errno_of_reason(const struct sluice_tls *tls, unsigned long code)
{
	switch (ERR_GET_REASON(code)) {
	case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
	case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
		/* The alert with which a server refuses a hello signed with another secret. */
		return tls->context->secret && !tls->established ? EACCES : EPROTO;
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_BINDER_DOES_NOT_VERIFY:
	case SSL_R_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY:
		return EACCES;
	default:
		return EPROTO;
	}
}

/* The result of the verification is more specific than OpenSSL's error. */
static void describe_error(struct sluice_tls *tls, unsigned long code)
{
	const char *reason = ERR_reason_error_string(code);
	long verified = SSL_get_verify_result(tls->ssl);

	if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	snprintf(tls->text, sizeof tls->text, "%s", reason ? reason : "TLS failed");
}

int tls_error(struct sluice_tls *tls, int result)
{
	int error_number = errno;
	int kind = SSL_get_error(tls->ssl, result);
	unsigned long code = ERR_peek_error();

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	if (tls->at_end && (!code || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
		snprintf(tls->text, sizeof tls->text, "the connection ended without a close");
		error_number = ECONNABORTED;
	} else if (code) {
		describe_error(tls, code);
		error_number = ERR_GET_LIB(code) == ERR_LIB_SYS ? ERR_GET_REASON(code)
								: errno_of_reason(tls, code);
	} else {
		if (error_number == 0)
			error_number = EPROTO;
		snprintf(tls->text, sizeof tls->text, "%s", strerror(error_number));
	}
	ERR_clear_error();
	return -error_number;
}
