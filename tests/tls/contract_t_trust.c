/* SPDX-License-Identifier: MIT */
/*
 * t10, t12: what the options of a context say of the peer's certificate, of ciphers, and of sessions.
 */
#include <errno.h>
#include <string.h>

#include "tls/peer.h"

static void run_both(struct fixture *fixture, struct sluice_tls_context *server,
		     struct sluice_tls_context *client, struct tls_both *both, const char *name)
{
	struct sluice_tls_options options = {.size = sizeof options, .server_name = name};

	both_run(fixture, both, server, client, name ? &options : NULL);
}

/* A client's context that trusts the first certificate, and has one itself, or NULL. */
static struct sluice_tls_context *client_with(const struct files *files, const char *certificate,
					      const char *key)
{
	struct sluice_tls_certificate own = {certificate, key};
	struct sluice_tls_context_options options = {
		.size = sizeof options,
		.authorities_file = files->certificate,
		.certificates = &own,
		.certificate_count = certificate ? 1 : 0,
	};

	return context_with(&options);
}

Test(t10, t10_an_optional_certificate_is_verified_if_there_is_one)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options;
	struct sluice_tls_context *server, *clients[3];
	unsigned char bytes[4096];

	fixture_begin(&fixture);
	files_make(&files);
	options = server_options(&files, &certificate);
	options.verify = SLUICE_TLS_VERIFY_OPTIONAL;
	options.authorities_file = files.other_certificate;
	server = context_with(&options);
	clients[0] = client_with(&files, NULL, NULL);
	clients[1] = client_with(&files, files.other_certificate, files.other_key);
	clients[2] = client_with(&files, files.certificate, files.key);
	for (int i = 0; i < 3; i++) {
		struct tls_both both;

		run_both(&fixture, server, clients[i], &both, NULL);
		cr_assert_eq(both.server_handshake.args.native_error, i == 2 ? EACCES : 0, "%d", i);
		if (i < 2)
			cr_assert_eq(sluice_tls_peer_certificate(both.server_tls, bytes,
								 sizeof bytes) > 0,
				     i == 1, "%d", i);
		both_close(&both);
		sluice_tls_context_destroy(clients[i]);
	}
	sluice_tls_context_destroy(server);
	files_remove(&files);
	fixture_end(&fixture);
}

Test(t10, t10_a_client_that_verifies_nothing_accepts_any_server)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_context_options options = {.size = sizeof options};
	struct sluice_tls_context *server;
	struct tls_both both;

	fixture_begin(&fixture);
	files_make(&files);
	server = server_context(&files);
	options.authorities_file = files.other_certificate;
	for (uint32_t verify = SLUICE_TLS_VERIFY_DEFAULT; verify <= SLUICE_TLS_VERIFY_NONE;
	     verify++) {
		struct sluice_tls_context *client;

		options.verify = verify;
		client = context_with(&options);
		run_both(&fixture, server, client, &both, "other.example");
		cr_assert_eq(both.client_handshake.args.native_error,
			     verify == SLUICE_TLS_VERIFY_NONE ? 0 : EACCES);
		both_close(&both);
		sluice_tls_context_destroy(client);
	}
	sluice_tls_context_destroy(server);
	files_remove(&files);
	fixture_end(&fixture);
}

static void use_cipher(uint32_t version, const char *cipher)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options;
	struct sluice_tls_context *server, *client;
	struct tls_both both;

	fixture_begin(&fixture);
	files_make(&files);
	options = server_options(&files, &certificate);
	options.version_max = version;
	if (version == SLUICE_TLS_VERSION_1_2)
		options.ciphers = cipher;
	else
		options.cipher_suites = cipher;
	server = context_with(&options);
	client = client_context(&files);
	run_both(&fixture, server, client, &both, NULL);
	assert_ended(&both.client_handshake, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_str_eq(sluice_tls_cipher(both.client_tls), cipher);
	cr_assert_str_eq(sluice_tls_cipher(both.server_tls), cipher);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	files_remove(&files);
	fixture_end(&fixture);
}

/* Neither is what is used without the options. */
Test(t10, t10_the_ciphers_of_the_options_are_used)
{
	use_cipher(SLUICE_TLS_VERSION_1_2, "ECDHE-ECDSA-AES256-GCM-SHA384");
	use_cipher(SLUICE_TLS_VERSION_1_3, "TLS_AES_128_GCM_SHA256");
}

/* Whether a second handshake resumes the session of the first. */
static bool is_resumed(uint32_t version, uint32_t no_tickets)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options;
	struct sluice_tls_context *server, *client;
	struct sluice_tls_options again = {.size = sizeof again, .server_name = "localhost"};
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};
	struct tls_both both;
	struct operation send, receive;
	unsigned char session[8192];
	char got[8];

	fixture_begin(&fixture);
	files_make(&files);
	options = server_options(&files, &certificate);
	options.version_max = version;
	options.no_tickets = no_tickets;
	server = context_with(&options);
	client = client_context(&files);
	both_run(&fixture, &both, server, client, &again);
	operation_init(&send, &fixture);
	operation_init(&receive, &fixture);
	start_send(both.server, &send, "ticket", 6);
	run_receive(both.client, &receive, got, 6);
	again.session_length = sluice_tls_session(both.client_tls, session, sizeof session);
	again.session = again.session_length ? session : NULL;
	run_until(&fixture, is_over(&send));
	both_close(&both);
	both_run(&fixture, &both, server, client, &again);
	assert_ended(&both.client_handshake, SLUICE_ERROR_SUCCESS, 0);
	sluice_tls_statistics(both.server_tls, &statistics);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	files_remove(&files);
	fixture_end(&fixture);
	return statistics.resumed != 0;
}

Test(t12, t12_without_tickets_no_session_is_resumed)
{
	cr_assert(is_resumed(SLUICE_TLS_VERSION_1_3, 0));
	cr_assert(!is_resumed(SLUICE_TLS_VERSION_1_3, 1));
	cr_assert(is_resumed(SLUICE_TLS_VERSION_1_2, 0));
	cr_assert(!is_resumed(SLUICE_TLS_VERSION_1_2, 1));
}
