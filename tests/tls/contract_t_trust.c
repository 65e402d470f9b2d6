/* SPDX-License-Identifier: MIT */
/*
 * t10, t12: what the options of a context say of the peer's certificate, of ciphers, and of sessions.
 */
#include <errno.h>

#include "tls/peer.h"

BOTH_TEST(t10, t10_an_optional_certificate_is_verified_if_there_is_one)
{
	const struct files *files = &both->files;
	struct sluice_tls_certificate other = {files->other_certificate, files->other_key};
	const struct sluice_tls_certificate *own[] = {NULL, &other, &both->certificate};
	unsigned char bytes[4096];

	both->server_options.verify = SLUICE_TLS_VERIFY_OPTIONAL;
	both->server_options.authorities_file = files->other_certificate;
	for (int i = 0; i < 3; i++) {
		both->client_options.certificates = own[i];
		both->client_options.certificate_count = own[i] != NULL;
		both_connect(both, NULL);
		cr_assert_eq(both->server_handshake.args.native_error, i == 2 ? EACCES : 0, "%d",
			     i);
		if (i < 2)
			cr_assert_eq(sluice_tls_peer_certificate(both->server_tls, bytes,
								 sizeof bytes) > 0,
				     i == 1, "%d", i);
	}
}

BOTH_TEST(t10, t10_a_client_that_verifies_nothing_accepts_any_server)
{
	struct sluice_tls_options name = {.size = sizeof name, .server_name = "other.example"};

	both->client_options.authorities_file = both->files.other_certificate;
	for (uint32_t verify = SLUICE_TLS_VERIFY_DEFAULT; verify <= SLUICE_TLS_VERIFY_NONE;
	     verify++) {
		both->client_options.verify = verify;
		both_connect(both, &name);
		cr_assert_eq(both->client_handshake.args.native_error,
			     verify == SLUICE_TLS_VERIFY_NONE ? 0 : EACCES);
	}
}

static void assert_cipher(struct both *both, const char *cipher)
{
	both_connect(both, NULL);
	assert_ended(&both->client_handshake, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_str_eq(sluice_tls_cipher(both->client_tls), cipher);
	cr_assert_str_eq(sluice_tls_cipher(both->server_tls), cipher);
}

/* Neither is what is used without the options. */
BOTH_TEST(t10, t10_the_ciphers_of_the_options_are_used)
{
	struct sluice_tls_context_options *options = &both->server_options;

	options->version_max = SLUICE_TLS_VERSION_1_2;
	options->ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
	assert_cipher(both, options->ciphers);
	options->version_max = SLUICE_TLS_VERSION_1_3;
	options->ciphers = NULL;
	options->cipher_suites = "TLS_AES_128_GCM_SHA256";
	assert_cipher(both, options->cipher_suites);
}

/* Whether a second handshake resumes the session of the first. */
static bool is_resumed(struct both *both, uint32_t version, uint32_t no_tickets)
{
	struct sluice_tls_options again = {.size = sizeof again, .server_name = "localhost"};
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};
	unsigned char session[8192];

	both->server_options.version_max = version;
	both->server_options.no_tickets = no_tickets;
	both_connect(both, &again);
	again.session_length = both_session(both, session, sizeof session);
	again.session = again.session_length ? session : NULL;
	both_reconnect(both, &again);
	assert_ended(&both->client_handshake, SLUICE_ERROR_SUCCESS, 0);
	sluice_tls_statistics(both->server_tls, &statistics);
	return statistics.resumed != 0;
}

BOTH_TEST(t12, t12_without_tickets_no_session_is_resumed)
{
	cr_assert(is_resumed(both, SLUICE_TLS_VERSION_1_3, 0));
	cr_assert(!is_resumed(both, SLUICE_TLS_VERSION_1_3, 1));
	cr_assert(is_resumed(both, SLUICE_TLS_VERSION_1_2, 0));
	cr_assert(!is_resumed(both, SLUICE_TLS_VERSION_1_2, 1));
}
