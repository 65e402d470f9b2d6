/* SPDX-License-Identifier: MIT */
/* The handshake: an operation like others, and what it settles between the two sides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"
#include "tls/peer.h"

/* ---- t01: an operation ---- */

TLS_TEST(t01, t01_what_is_started_behind_the_handshake_waits_for_it, tls_pair_prepare, 0)
{
	struct operation operation, send, receive;
	char *bytes = pattern_new(100000, 0), got[4];

	operation_init(&operation, fixture);
	operation_init(&send, fixture);
	operation_init(&receive, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	cr_assert_eq(start_send(tls->pair.socket, &send, bytes, 100000), 1);
	cr_assert_eq(start_receive(tls->pair.socket, &receive, got, 4), 1);
	run_idle(fixture);
	cr_assert(!is_over(&operation) && !is_over(&send) && !is_over(&receive));
	while (!peer_step(&tls->peer))
		run_for(fixture, MILLISECOND);
	peer_read_pattern(fixture, &tls->peer, 100000, 0);
	peer_write(fixture, &tls->peer, "abcd", 4);
	run_until(fixture, is_over(&operation) && is_over(&send) && is_over(&receive));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_lt(operation.turn, send.turn);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 100000);
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 4);
	free(bytes);
}

TLS_TEST(t01, t01_a_file_started_behind_the_handshake_waits_for_it, tls_pair_prepare, 0)
{
	struct operation operation, send;
	struct sluice_packet packet = {.kind = SLUICE_PACKET_PATH};

	operation_init(&operation, fixture);
	operation_init(&send, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	packet.path = tls->files.certificate;
	cr_assert_eq(sluice_args_set_packets(&send.args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, tls->pair.socket, &send), 1);
	while (!peer_step(&tls->peer))
		run_for(fixture, MILLISECOND);
	run_until(fixture, is_over(&operation) && is_over(&send));
	cr_assert_eq(send.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_gt(send.args.bytes_transferred, 100);
}

TLS_TEST(t01, t01_a_peer_that_stops_in_the_middle_meets_the_deadline, tls_pair_prepare, 0)
{
	struct operation operation, send;
	int64_t begun;

	operation_init(&operation, fixture);
	operation_init(&send, fixture);
	operation.args.timeout_ns = 30 * MILLISECOND;
	begun = now_ns();
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	cr_assert_eq(start_send(tls->pair.socket, &send, "x", 1), 1);
	peer_step(&tls->peer); /* its hello, and nothing more */
	run_until(fixture, is_over(&operation) && is_over(&send));
	cr_assert_geq(now_ns() - begun, 30 * MILLISECOND);
	assert_ended(&operation, SLUICE_ERROR_TIMED_OUT, 0);
	assert_ended(&send, SLUICE_ERROR_NOT_CONNECTED, 0);
}

TLS_TEST(t01, t01_a_handshake_can_be_cancelled_and_closed, tls_pair_prepare, 0)
{
	struct tls closed;
	struct operation operation, other;

	tls_pair_prepare(fixture, &closed, 0);
	operation_init(&operation, fixture);
	operation_init(&other, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	cr_assert_eq(tls_pair_start(&closed, &other), 1);
	run_idle(fixture);
	cr_assert_eq(sluice_cancel(tls->pair.socket, &operation.args), 0);
	cr_assert_eq(sluice_socket_close(closed.pair.socket), 0);
	run_until(fixture, is_over(&operation) && is_over(&other));
	assert_ended(&operation, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&other, SLUICE_ERROR_OPERATION_ABORTED, 0);
	tls_pair_end(&closed);
}

TLS_TEST(t01, t01_after_a_failed_handshake_nothing_leaves_in_the_clear, tls_pair_prepare, 0)
{
	struct operation operation, behind, send, receive;
	char got[200];
	ssize_t length;

	operation_init(&operation, fixture);
	operation_init(&behind, fixture);
	operation_init(&send, fixture);
	operation_init(&receive, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	cr_assert_eq(start_send(tls->pair.socket, &behind, "secret", 6), 1);
	cr_assert_eq(write(tls->peer.fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	run_until(fixture, is_over(&operation) && is_over(&behind));
	cr_assert_eq(operation.args.native_error, EPROTO);
	cr_assert_neq(strlen(sluice_tls_error_text(tls->tls)), 0);
	assert_ended(&behind, SLUICE_ERROR_NOT_CONNECTED, 0);
	start_send(tls->pair.socket, &send, "secret", 6);
	run_until(fixture, is_over(&send));
	cr_assert_neq(send.args.error, SLUICE_ERROR_SUCCESS);
	run_receive(tls->pair.socket, &receive, got, sizeof got);
	cr_assert_neq(receive.args.error, SLUICE_ERROR_SUCCESS);
	sluice_socket_close(tls->pair.socket);
	run_idle(fixture);
	length = recv(tls->peer.fd, got, sizeof got, 0);
	cr_assert_null(length > 0 ? memmem(got, (size_t)length, "secret", 6) : NULL);
}

static int proxied(int from, int to, size_t most)
{
	char bytes[4096];
	ssize_t got = recv(from, bytes, most, MSG_DONTWAIT);

	if (got <= 0)
		return 0;
	cr_assert_eq(send(to, bytes, (size_t)got, 0), got);
	return (int)got;
}

/* Every flight of both sides arrives byte by byte. */
TLS_TEST(t01, t01_a_handshake_in_single_bytes_succeeds, tls_pair_prepare, 0)
{
	struct operation operation;
	int ends[2], between;
	bool over = false;

	between = tls->peer.fd;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	SSL_free(tls->peer.ssl);
	SSL_CTX_free(tls->peer.context);
	peer_init(&tls->peer, ends[0]);
	operation_init(&operation, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	while (!over || !is_over(&operation)) {
		over = peer_step(&tls->peer);
		proxied(ends[1], between, 1);
		run_for(fixture, 0);
		proxied(between, ends[1], 1);
	}
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	close(ends[1]);
	close(between);
}

TLS_TEST(t01, t01_every_truncation_of_a_hello_ends_with_an_error, tls_pair_prepare, 0)
{
	char hello[1024];
	ssize_t length;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	SSL_set_fd(tls->peer.ssl, ends[0]);
	SSL_do_handshake(tls->peer.ssl);
	length = recv(ends[1], hello, sizeof hello, 0);
	close(ends[0]);
	close(ends[1]);
	cr_assert_gt(length, 100);
	for (ssize_t cut = 0; cut < length; cut += 13) {
		struct operation operation;
		struct pair pair;

		tcp_pair(fixture, &pair, 0);
		operation_init(&operation, fixture);
		cr_assert_eq(handshake(tls->context, pair.socket, NULL, &operation, NULL), 1);
		cr_assert_eq(write(pair.peer, hello, (size_t)cut), cut);
		shutdown(pair.peer, SHUT_WR);
		run_until(fixture, is_over(&operation));
		cr_assert_eq(operation.args.error, SLUICE_ERROR_CONNECTION_ABORTED);
		pair_close(&pair);
	}
}

TLS_TEST(t01, t01_a_hundred_peers_that_stop_delay_nobody, tls_pair_prepare, 0)
{
	enum {
		COUNT = 100
	};
	struct pair pairs[COUNT];
	struct operation *operations, operation;

	operations = operations_new(fixture, COUNT);
	for (int i = 0; i < COUNT; i++) {
		tcp_pair(fixture, &pairs[i], 0);
		cr_assert_eq(handshake(tls->context, pairs[i].socket, NULL, &operations[i], NULL),
			     1);
		cr_assert_eq(write(pairs[i].peer, "\x16\x03\x01\x02", (size_t)i % 5),
			     (ssize_t)i % 5);
	}
	operation_init(&operation, fixture);
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	while (!peer_step(&tls->peer) || !is_over(&operation))
		run_for(fixture, MILLISECOND);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	for (int i = 0; i < COUNT; i++) {
		cr_assert(!is_over(&operations[i]));
		sluice_socket_close(pairs[i].socket);
	}
	run_until(fixture, are_over(operations, COUNT));
	for (int i = 0; i < COUNT; i++)
		pair_close(&pairs[i]);
	free(operations);
}

/* ---- t09: refusals ---- */

TLS_TEST(t09, t09_a_handshake_is_refused_where_it_cannot_be, tls_pair_prepare, 0)
{
	struct operation operation, receive;
	struct pair udp;
	struct sluice_socket *unconnected;
	char byte;

	udp_pair(fixture, &udp);
	unconnected = attach(fixture, new_tcp(0));
	operation_init(&operation, fixture);
	operation_init(&receive, fixture);
	cr_assert_eq(handshake(tls->context, udp.socket, NULL, &operation, NULL), -EOPNOTSUPP);
	cr_assert_eq(handshake(tls->context, unconnected, NULL, &operation, NULL), -ENOTCONN);
	cr_assert_eq(sluice_tls_handshake_async(NULL, tls->pair.socket, NULL, &operation.args,
						NULL),
		     -EINVAL);
	cr_assert_eq(start_receive(tls->pair.socket, &receive, &byte, 1), 1);
	cr_assert_eq(tls_pair_start(tls, &operation), -EBUSY);
	cr_assert_null(tls->tls);
	cr_assert_eq(sluice_cancel(tls->pair.socket, &receive.args), 0);
	run_until(fixture, is_over(&receive));
	cr_assert_eq(tls_pair_start(tls, &operation), 1);
	cr_assert_eq(tls_pair_start(tls, &receive), -EALREADY);
	while (!peer_step(&tls->peer) || !is_over(&operation))
		run_for(fixture, MILLISECOND);
	cr_assert_eq(handshake(tls->context, tls->pair.socket, NULL, &receive, NULL), -EALREADY);
	sluice_socket_destroy(unconnected);
	pair_close(&udp);
}

Test(t09, t09_a_context_says_what_is_wrong_with_its_files)
{
	struct files files;
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options;
	struct sluice_tls_context *context;
	char text[200];

	files_make(&files);
	options = server_options(&files, &certificate);
	options.error_text = text;
	options.error_capacity = sizeof text;
	certificate.certificate_file = "/nowhere/cert.pem";
	cr_assert_eq(sluice_tls_context_create(&context, &options), -ENOENT);
	cr_assert_not_null(strstr(text, "/nowhere/cert.pem"));
	cr_assert_null(context);
	certificate.certificate_file = files.key;
	cr_assert_eq(sluice_tls_context_create(&context, &options), -EBADMSG);
	cr_assert_not_null(strstr(text, files.key));
	certificate.certificate_file = files.certificate;
	certificate.key_file = files.other_key;
	cr_assert_eq(sluice_tls_context_create(&context, &options), -EBADMSG);
	cr_assert_not_null(strstr(text, "does not belong"));
	certificate.key_file = files.certificate;
	cr_assert_eq(sluice_tls_context_create(&context, &options), -EBADMSG);
	cr_assert_not_null(strstr(text, "no private key"));
	options.certificate_count = 0;
	cr_assert_eq(sluice_tls_context_create(&context, &options), -EINVAL);
	options = server_options(&files, &certificate);
	options.secret = "too short";
	options.secret_length = 9;
	cr_assert_eq(sluice_tls_context_create(&context, &options), -EINVAL);
	files_remove(&files);
}

Test(t09, t09_a_context_says_when_its_certificates_are_valid)
{
	struct files files;
	struct sluice_tls_context *context;
	int64_t from, until, now = time(NULL);

	files_make(&files);
	context = server_context(&files);
	cr_assert_eq(sluice_tls_context_validity(context, 0, &from, &until), 0);
	cr_assert(from < now && from > now - 86400 && until > now && until < now + 2 * 86400);
	cr_assert_eq(sluice_tls_context_validity(context, 1, &from, &until), -EINVAL);
	cr_assert_eq(sluice_tls_context_validity(NULL, 0, &from, &until), -EINVAL);
	sluice_tls_context_destroy(context);
	files_remove(&files);
}

/* ---- t10: what the two sides settle ---- */

BOTH_TEST(t10, t10_the_certificate_is_picked_by_name)
{
	const struct files *files = &both->files;
	struct sluice_tls_certificate certificates[] = {
		both->certificate,
		{files->other_certificate, files->other_key},
	};
	const char *names[] = {"localhost", "other.example", "unknown.example"};

	both->server_options.certificates = certificates;
	both->server_options.certificate_count = 2;
	for (int i = 0; i < 3; i++) {
		struct sluice_tls_options name = {.size = sizeof name, .server_name = names[i]};

		both->client_options.authorities_file = i == 1 ? files->other_certificate
							       : files->certificate;
		both_connect(both, &name);
		cr_assert_eq(both->client_handshake.args.native_error, i == 2 ? EACCES : 0);
		cr_assert_str_eq(sluice_tls_server_name(both->server_tls), names[i]);
	}
}

static void use_protocols(struct sluice_tls_context_options *options, const char *const *protocols,
			  size_t count)
{
	options->protocols = protocols;
	options->protocol_count = count;
}

BOTH_TEST(t10, t10_the_server_s_first_common_protocol_is_agreed_on)
{
	static const char *const offered[] = {"h2", "http/1.1"}, *const spoken[] = {"http/1.1"},
				 *const foreign[] = {"spdy/1"};

	use_protocols(&both->server_options, spoken, 1);
	use_protocols(&both->client_options, offered, 2);
	both_connect(both, NULL);
	assert_ended(&both->client_handshake, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_str_eq(sluice_tls_protocol(both->client_tls), "http/1.1");
	cr_assert_str_eq(sluice_tls_protocol(both->server_tls), "http/1.1");
	use_protocols(&both->client_options, foreign, 1);
	both_connect(both, NULL);
	cr_assert_neq(both->client_handshake.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_neq(both->server_handshake.args.error, SLUICE_ERROR_SUCCESS);
}

BOTH_TEST(t10, t10_an_untrusted_server_is_refused)
{
	both->client_options.authorities_file = both->files.other_certificate;
	both_connect(both, NULL);
	cr_assert_eq(both->client_handshake.args.native_error, EACCES);
}

BOTH_TEST(t10, t10_a_client_without_a_certificate_is_refused_where_one_is_required)
{
	struct sluice_tls_certificate own = {both->files.other_certificate, both->files.other_key};
	unsigned char bytes[4096];

	both->server_options.verify = SLUICE_TLS_VERIFY_REQUIRED;
	both->server_options.authorities_file = both->files.other_certificate;
	both_connect(both, NULL);
	cr_assert_eq(both->server_handshake.args.native_error, EACCES);
	both->client_options.certificates = &own;
	both->client_options.certificate_count = 1;
	both_connect(both, NULL);
	assert_ended(&both->server_handshake, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_gt(sluice_tls_peer_certificate(both->server_tls, bytes, sizeof bytes), 100);
}

/* ---- t11: secrets ---- */

#define SECRET "0123456789abcdef0123456789abcdef"
#define WRONG "0123456789abcdef0123456789abcdeX"

/* No certificate on this side. */
static void know(struct sluice_tls_context_options *options, const char *secret, const char *name)
{
	*options = (struct sluice_tls_context_options){
		.size = sizeof *options,
		.role = options->role,
		.secret = secret,
		.secret_length = 32,
		.secret_name = name,
	};
}

static void assert_refused(struct both *both)
{
	both_connect(both, NULL);
	cr_assert_neq(both->client_handshake.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_neq(both->server_handshake.args.error, SLUICE_ERROR_SUCCESS);
}

BOTH_TEST(t11, t11_both_sides_know_the_secret)
{
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};

	know(&both->server_options, SECRET, NULL);
	know(&both->client_options, SECRET, NULL);
	both_connect(both, NULL);
	assert_ended(&both->client_handshake, SLUICE_ERROR_SUCCESS, 0);
	assert_ended(&both->server_handshake, SLUICE_ERROR_SUCCESS, 0);
	sluice_tls_statistics(both->client_tls, &statistics);
	cr_assert_eq(statistics.version, SLUICE_TLS_VERSION_1_3);
	cr_assert_eq(statistics.resumed, 1);
}

BOTH_TEST(t11, t11_another_secret_is_refused_by_both_sides)
{
	know(&both->server_options, SECRET, NULL);
	know(&both->client_options, WRONG, NULL);
	both_connect(both, NULL);
	cr_assert_eq(both->client_handshake.args.native_error, EACCES);
	cr_assert_eq(both->server_handshake.args.native_error, EACCES);
}

BOTH_TEST(t11, t11_another_name_is_refused_by_both_sides)
{
	know(&both->server_options, SECRET, NULL);
	know(&both->client_options, SECRET, "else");
	assert_refused(both);
}

BOTH_TEST(t11, t11_a_certificate_does_not_replace_the_secret)
{
	const struct sluice_tls_context_options client_options = both->client_options;

	know(&both->client_options, SECRET, NULL);
	assert_refused(both);
	know(&both->server_options, SECRET, NULL);
	both->client_options = client_options;
	assert_refused(both);
}

/* ---- t12: sessions ---- */

static void resume(struct both *both, uint32_t version, bool reload)
{
	struct sluice_tls_options again = {.size = sizeof again, .server_name = "localhost"};
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};
	unsigned char session[8192];

	both->server_options.version_max = version;
	both_connect(both, &again);
	again.session = session;
	again.session_length = both_session(both, session, sizeof session);
	cr_assert_gt(again.session_length, 0);
	both->server_options.predecessor = both->server_context;
	if (reload)
		both_reload(both);
	both_reconnect(both, &again);
	assert_ended(&both->client_handshake, SLUICE_ERROR_SUCCESS, 0);
	sluice_tls_statistics(both->server_tls, &statistics);
	cr_assert_eq(statistics.version, version);
	cr_assert_eq(statistics.resumed, 1);
}

BOTH_TEST(t12, t12_a_session_of_1_3_is_resumed)
{
	resume(both, SLUICE_TLS_VERSION_1_3, false);
}

BOTH_TEST(t12, t12_a_session_of_1_2_is_resumed)
{
	resume(both, SLUICE_TLS_VERSION_1_2, false);
}

BOTH_TEST(t12, t12_a_session_is_resumed_with_the_successor_of_its_context)
{
	resume(both, SLUICE_TLS_VERSION_1_3, true);
}

/* ---- t13: who encrypts ---- */

static void exchange(struct fixture *fixture, struct sluice_socket *from, struct sluice_socket *to)
{
	const size_t length = 200000;
	struct operation send, receive;
	char *bytes = pattern_new(length, 0), *got = malloc(length);
	size_t come = 0;

	operation_init(&send, fixture);
	start_send(from, &send, bytes, length);
	while (come < length) {
		operation_init(&receive, fixture);
		run_receive(to, &receive, got + come, length - come);
		cr_assert_eq(receive.args.error, SLUICE_ERROR_SUCCESS);
		come += receive.args.bytes_transferred;
	}
	run_until(fixture, is_over(&send));
	assert_ended(&send, SLUICE_ERROR_SUCCESS, length);
	cr_assert(pattern_matches(got, length, 0));
	free(bytes);
	free(got);
}

/* What the kernel takes is not sealed here. It decrypts 1.2; not every OpenSSL lets it decrypt 1.3. */
static void assert_taken_over(const struct sluice_tls *tls, uint32_t version)
{
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_tls_statistics(tls, &statistics), 0);
	cr_assert_eq(statistics.version, version);
	cr_assert_eq(statistics.sends_way, SLUICE_TLS_WAY_KERNEL);
	cr_assert_eq(statistics.bytes_sealed, 0);
	if (version == SLUICE_TLS_VERSION_1_2)
		cr_assert_eq(statistics.receives_way, SLUICE_TLS_WAY_KERNEL);
}

static void take_over(struct both *both, uint32_t version)
{
	struct sluice_tls_probe probe = {.size = sizeof probe};

	cr_assert_eq(sluice_tls_probe(&probe), 0);
	if (!probe.kernel) {
		both_end(both);
		cr_skip("the kernel has no TLS: %s", strerror(probe.kernel_error));
	}
	both->server_options.version_max = version;
	both->server_options.way = both->client_options.way = SLUICE_TLS_WAY_KERNEL;
	both_connect(both, NULL);
	assert_ended(&both->server_handshake, SLUICE_ERROR_SUCCESS, 0);
	exchange(both->fixture, both->server, both->client);
	exchange(both->fixture, both->client, both->server);
	assert_taken_over(both->server_tls, version);
	assert_taken_over(both->client_tls, version);
}

BOTH_TEST(t13, t13_the_kernel_takes_over_both_directions_of_1_2)
{
	take_over(both, SLUICE_TLS_VERSION_1_2);
}

BOTH_TEST(t13, t13_the_kernel_takes_over_1_3)
{
	take_over(both, SLUICE_TLS_VERSION_1_3);
}

BOTH_TEST(t13, t13_each_way_can_be_forced_and_is_told)
{
	struct sluice_tls_probe probe = {.size = sizeof probe};
	const char *forced = getenv("SLUICE_TEST_TLS_WAY");
	uint32_t chosen;

	cr_assert_eq(sluice_tls_probe(&probe), 0);
	cr_assert_not_null(strstr(probe.openssl, "OpenSSL"));
	chosen = probe.kernel ? SLUICE_TLS_WAY_KERNEL : SLUICE_TLS_WAY_LIBRARY;
	if (forced)
		chosen = strcmp(forced, "kernel") ? SLUICE_TLS_WAY_LIBRARY : SLUICE_TLS_WAY_KERNEL;
	for (uint32_t way = SLUICE_TLS_WAY_AUTO; way <= SLUICE_TLS_WAY_LIBRARY; way++) {
		struct sluice_tls_statistics statistics = {.size = sizeof statistics};

		both->server_options.way = way;
		both_connect(both, NULL);
		sluice_tls_statistics(both->server_tls, &statistics);
		if (way == SLUICE_TLS_WAY_KERNEL && !probe.kernel) {
			cr_assert_eq(both->server_handshake.args.native_error, EOPNOTSUPP);
			cr_assert_eq(statistics.established, 0);
		} else {
			assert_ended(&both->server_handshake, SLUICE_ERROR_SUCCESS, 0);
			cr_assert_eq(statistics.sends_way,
				     way == SLUICE_TLS_WAY_AUTO ? chosen : way);
		}
	}
}
