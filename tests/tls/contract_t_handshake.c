/* SPDX-License-Identifier: MIT */
/* The handshake: an operation like others, and what it settles between the two sides. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"
#include "tls/peer.h"

/* ---- t01: an operation ---- */

Test(t01, t01_what_is_started_behind_the_handshake_waits_for_it)
{
	struct fixture fixture;
	struct tls_pair tls;
	struct operation operation, send, receive;
	char *bytes = pattern_new(100000, 0), got[4];

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	operation_init(&operation, &fixture);
	operation_init(&send, &fixture);
	operation_init(&receive, &fixture);
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	cr_assert_eq(start_send(tls.pair.socket, &send, bytes, 100000), 1);
	cr_assert_eq(start_receive(tls.pair.socket, &receive, got, 4), 1);
	run_idle(&fixture);
	cr_assert(!is_over(&operation) && !is_over(&send) && !is_over(&receive));
	while (!peer_step(&tls.peer))
		run_for(&fixture, MILLISECOND);
	peer_read_pattern(&fixture, &tls.peer, 100000, 0);
	peer_write(&fixture, &tls.peer, "abcd", 4);
	run_until(&fixture, is_over(&operation) && is_over(&send) && is_over(&receive));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_lt(operation.turn, send.turn);
	assert_ended(&send, SLUICE_ERROR_SUCCESS, 100000);
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 4);
	free(bytes);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

Test(t01, t01_a_file_started_behind_the_handshake_waits_for_it)
{
	struct fixture fixture;
	struct tls_pair tls;
	struct operation operation, send;
	struct sluice_packet packet = {.kind = SLUICE_PACKET_PATH};

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	operation_init(&operation, &fixture);
	operation_init(&send, &fixture);
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	packet.path = tls.files.certificate;
	cr_assert_eq(sluice_args_set_packets(&send.args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, tls.pair.socket, &send), 1);
	while (!peer_step(&tls.peer))
		run_for(&fixture, MILLISECOND);
	run_until(&fixture, is_over(&operation) && is_over(&send));
	cr_assert_eq(send.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_gt(send.args.bytes_transferred, 100);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

Test(t01, t01_a_peer_that_stops_in_the_middle_meets_the_deadline)
{
	struct fixture fixture;
	struct tls_pair tls;
	struct operation operation, send;
	int64_t begun;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	operation_init(&operation, &fixture);
	operation_init(&send, &fixture);
	operation.args.timeout_ns = 30 * MILLISECOND;
	begun = now_ns();
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	cr_assert_eq(start_send(tls.pair.socket, &send, "x", 1), 1);
	peer_step(&tls.peer); /* its hello, and nothing more */
	run_until(&fixture, is_over(&operation) && is_over(&send));
	cr_assert_geq(now_ns() - begun, 30 * MILLISECOND);
	assert_ended(&operation, SLUICE_ERROR_TIMED_OUT, 0);
	assert_ended(&send, SLUICE_ERROR_NOT_CONNECTED, 0);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

Test(t01, t01_a_handshake_can_be_cancelled_and_closed)
{
	struct fixture fixture;
	struct tls_pair tls, closed;
	struct operation operation, other;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	tls_pair_prepare(&fixture, &closed, 0);
	operation_init(&operation, &fixture);
	operation_init(&other, &fixture);
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	cr_assert_eq(tls_pair_start(&closed, &other), 1);
	run_idle(&fixture);
	cr_assert_eq(sluice_cancel(tls.pair.socket, &operation.args), 0);
	cr_assert_eq(sluice_socket_close(closed.pair.socket), 0);
	run_until(&fixture, is_over(&operation) && is_over(&other));
	assert_ended(&operation, SLUICE_ERROR_OPERATION_ABORTED, 0);
	assert_ended(&other, SLUICE_ERROR_OPERATION_ABORTED, 0);
	tls_pair_end(&tls);
	tls_pair_end(&closed);
	fixture_end(&fixture);
}

Test(t01, t01_after_a_failed_handshake_nothing_leaves_in_the_clear)
{
	struct fixture fixture;
	struct tls_pair tls;
	struct operation operation, behind, send, receive;
	char got[200];
	ssize_t length;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	operation_init(&operation, &fixture);
	operation_init(&behind, &fixture);
	operation_init(&send, &fixture);
	operation_init(&receive, &fixture);
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	cr_assert_eq(start_send(tls.pair.socket, &behind, "secret", 6), 1);
	cr_assert_eq(write(tls.peer.fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	run_until(&fixture, is_over(&operation) && is_over(&behind));
	cr_assert_eq(operation.args.native_error, EPROTO);
	cr_assert_neq(strlen(sluice_tls_error_text(tls.tls)), 0);
	assert_ended(&behind, SLUICE_ERROR_NOT_CONNECTED, 0);
	start_send(tls.pair.socket, &send, "secret", 6);
	run_until(&fixture, is_over(&send));
	cr_assert_neq(send.args.error, SLUICE_ERROR_SUCCESS);
	run_receive(tls.pair.socket, &receive, got, sizeof got);
	cr_assert_neq(receive.args.error, SLUICE_ERROR_SUCCESS);
	sluice_socket_close(tls.pair.socket);
	run_idle(&fixture);
	length = recv(tls.peer.fd, got, sizeof got, 0);
	cr_assert_null(length > 0 ? memmem(got, (size_t)length, "secret", 6) : NULL);
	tls_pair_end(&tls);
	fixture_end(&fixture);
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
Test(t01, t01_a_handshake_in_single_bytes_succeeds)
{
	struct fixture fixture;
	struct tls_pair tls;
	struct operation operation;
	int ends[2], between;
	bool over = false;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	between = tls.peer.fd;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	SSL_free(tls.peer.ssl);
	SSL_CTX_free(tls.peer.context);
	peer_init(&tls.peer, ends[0]);
	operation_init(&operation, &fixture);
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	while (!over || !is_over(&operation)) {
		over = peer_step(&tls.peer);
		proxied(ends[1], between, 1);
		run_for(&fixture, 0);
		proxied(between, ends[1], 1);
	}
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	close(ends[1]);
	close(between);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

Test(t01, t01_every_truncation_of_a_hello_ends_with_an_error)
{
	struct fixture fixture;
	struct tls_pair first;
	char hello[1024];
	ssize_t length;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &first, 0);
	{
		int ends[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
		SSL_set_fd(first.peer.ssl, ends[0]);
		SSL_do_handshake(first.peer.ssl);
		length = recv(ends[1], hello, sizeof hello, 0);
		close(ends[0]);
		close(ends[1]);
	}
	cr_assert_gt(length, 100);
	for (ssize_t cut = 0; cut < length; cut += 13) {
		struct operation operation;
		struct pair pair;

		tcp_pair(&fixture, &pair, 0);
		operation_init(&operation, &fixture);
		cr_assert_eq(handshake(first.context, pair.socket, NULL, &operation, NULL), 1);
		cr_assert_eq(write(pair.peer, hello, (size_t)cut), cut);
		shutdown(pair.peer, SHUT_WR);
		run_until(&fixture, is_over(&operation));
		cr_assert_eq(operation.args.error, SLUICE_ERROR_CONNECTION_ABORTED);
		pair_close(&pair);
	}
	tls_pair_end(&first);
	fixture_end(&fixture);
}

Test(t01, t01_a_hundred_peers_that_stop_delay_nobody)
{
	enum {
		COUNT = 100
	};
	struct fixture fixture;
	struct tls_pair tls;
	struct pair pairs[COUNT];
	struct operation *operations, operation;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	operations = operations_new(&fixture, COUNT);
	for (int i = 0; i < COUNT; i++) {
		tcp_pair(&fixture, &pairs[i], 0);
		cr_assert_eq(handshake(tls.context, pairs[i].socket, NULL, &operations[i], NULL),
			     1);
		cr_assert_eq(write(pairs[i].peer, "\x16\x03\x01\x02", (size_t)i % 5),
			     (ssize_t)i % 5);
	}
	operation_init(&operation, &fixture);
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	while (!peer_step(&tls.peer) || !is_over(&operation))
		run_for(&fixture, MILLISECOND);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	for (int i = 0; i < COUNT; i++) {
		cr_assert(!is_over(&operations[i]));
		sluice_socket_close(pairs[i].socket);
	}
	run_until(&fixture, are_over(operations, COUNT));
	for (int i = 0; i < COUNT; i++)
		pair_close(&pairs[i]);
	free(operations);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

/* ---- t09: refusals ---- */

Test(t09, t09_a_handshake_is_refused_where_it_cannot_be)
{
	struct fixture fixture;
	struct tls_pair tls;
	struct operation operation, receive;
	struct pair udp;
	struct sluice_socket *unconnected;
	char byte;

	fixture_begin(&fixture);
	tls_pair_prepare(&fixture, &tls, 0);
	udp_pair(&fixture, &udp);
	unconnected = attach(&fixture, new_tcp(0));
	operation_init(&operation, &fixture);
	operation_init(&receive, &fixture);
	cr_assert_eq(handshake(tls.context, udp.socket, NULL, &operation, NULL), -EOPNOTSUPP);
	cr_assert_eq(handshake(tls.context, unconnected, NULL, &operation, NULL), -ENOTCONN);
	cr_assert_eq(sluice_tls_handshake_async(NULL, tls.pair.socket, NULL, &operation.args, NULL),
		     -EINVAL);
	cr_assert_eq(start_receive(tls.pair.socket, &receive, &byte, 1), 1);
	cr_assert_eq(tls_pair_start(&tls, &operation), -EBUSY);
	cr_assert_null(tls.tls);
	cr_assert_eq(sluice_cancel(tls.pair.socket, &receive.args), 0);
	run_until(&fixture, is_over(&receive));
	cr_assert_eq(tls_pair_start(&tls, &operation), 1);
	cr_assert_eq(tls_pair_start(&tls, &receive), -EALREADY);
	while (!peer_step(&tls.peer) || !is_over(&operation))
		run_for(&fixture, MILLISECOND);
	cr_assert_eq(handshake(tls.context, tls.pair.socket, NULL, &receive, NULL), -EALREADY);
	sluice_socket_destroy(unconnected);
	pair_close(&udp);
	tls_pair_end(&tls);
	fixture_end(&fixture);
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

Test(t10, t10_the_certificate_is_picked_by_name)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_certificate certificates[2];
	struct sluice_tls_context_options options;
	struct sluice_tls_context *server;
	const char *names[] = {"localhost", "other.example", "unknown.example"};

	fixture_begin(&fixture);
	files_make(&files);
	options = server_options(&files, certificates);
	certificates[1] = (struct sluice_tls_certificate){files.other_certificate, files.other_key};
	options.certificate_count = 2;
	server = context_with(&options);
	for (int i = 0; i < 3; i++) {
		struct sluice_tls_context_options client_options = {
			.size = sizeof client_options,
			.authorities_file = i == 1 ? files.other_certificate : files.certificate,
		};
		struct sluice_tls_context *client = context_with(&client_options);
		struct sluice_tls_options name = {.size = sizeof name, .server_name = names[i]};
		struct tls_both both;

		both_run(&fixture, &both, server, client, &name);
		cr_assert_eq(both.client_handshake.args.native_error, i == 2 ? EACCES : 0);
		cr_assert_str_eq(sluice_tls_server_name(both.server_tls), names[i]);
		both_close(&both);
		sluice_tls_context_destroy(client);
	}
	sluice_tls_context_destroy(server);
	files_remove(&files);
	fixture_end(&fixture);
}

static struct sluice_tls_context *with_protocols(const struct files *files, bool server,
						 const char *const *protocols, size_t count)
{
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options = {.size = sizeof options};

	if (server)
		options = server_options(files, &certificate);
	options.authorities_file = files->certificate;
	options.protocols = protocols;
	options.protocol_count = count;
	return context_with(&options);
}

Test(t10, t10_the_server_s_first_common_protocol_is_agreed_on)
{
	static const char *const offered[] = {"h2", "http/1.1"}, *const spoken[] = {"http/1.1"},
				 *const foreign[] = {"spdy/1"};
	struct fixture fixture;
	struct files files;
	struct sluice_tls_context *server, *client, *stranger;
	struct tls_both both;

	fixture_begin(&fixture);
	files_make(&files);
	server = with_protocols(&files, true, spoken, 1);
	client = with_protocols(&files, false, offered, 2);
	stranger = with_protocols(&files, false, foreign, 1);
	both_run(&fixture, &both, server, client, NULL);
	assert_ended(&both.client_handshake, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_str_eq(sluice_tls_protocol(both.client_tls), "http/1.1");
	cr_assert_str_eq(sluice_tls_protocol(both.server_tls), "http/1.1");
	both_close(&both);
	both_run(&fixture, &both, server, stranger, NULL);
	cr_assert_neq(both.client_handshake.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_neq(both.server_handshake.args.error, SLUICE_ERROR_SUCCESS);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	sluice_tls_context_destroy(stranger);
	files_remove(&files);
	fixture_end(&fixture);
}

Test(t10, t10_an_untrusted_server_is_refused)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_context *server, *client;
	struct sluice_tls_context_options options = {.size = sizeof options};
	struct tls_both both;

	fixture_begin(&fixture);
	files_make(&files);
	server = server_context(&files);
	options.authorities_file = files.other_certificate;
	client = context_with(&options);
	both_run(&fixture, &both, server, client, NULL);
	cr_assert_eq(both.client_handshake.args.native_error, EACCES);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	files_remove(&files);
	fixture_end(&fixture);
}

Test(t10, t10_a_client_without_a_certificate_is_refused_where_one_is_required)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_certificate certificate, own;
	struct sluice_tls_context_options options, client_options = {.size = sizeof client_options};
	struct sluice_tls_context *server, *with, *without;
	struct tls_both both;
	unsigned char bytes[4096];

	fixture_begin(&fixture);
	files_make(&files);
	options = server_options(&files, &certificate);
	options.verify = SLUICE_TLS_VERIFY_REQUIRED;
	options.authorities_file = files.other_certificate;
	server = context_with(&options);
	client_options.authorities_file = files.certificate;
	without = context_with(&client_options);
	own = (struct sluice_tls_certificate){files.other_certificate, files.other_key};
	client_options.certificates = &own;
	client_options.certificate_count = 1;
	with = context_with(&client_options);
	both_run(&fixture, &both, server, without, NULL);
	cr_assert_eq(both.server_handshake.args.native_error, EACCES);
	both_close(&both);
	both_run(&fixture, &both, server, with, NULL);
	assert_ended(&both.server_handshake, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_gt(sluice_tls_peer_certificate(both.server_tls, bytes, sizeof bytes), 100);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(with);
	sluice_tls_context_destroy(without);
	files_remove(&files);
	fixture_end(&fixture);
}

/* ---- t11: secrets ---- */

static struct sluice_tls_context *with_secret(bool server, const char *secret, const char *name)
{
	struct sluice_tls_context_options options = {
		.size = sizeof options,
		.role = server ? SLUICE_TLS_SERVER : SLUICE_TLS_CLIENT,
		.secret = secret,
		.secret_length = 32,
		.secret_name = name,
	};

	return context_with(&options);
}

#define SECRET "0123456789abcdef0123456789abcdef"
#define WRONG "0123456789abcdef0123456789abcdeX"

static void meet(struct sluice_tls_context *server, struct sluice_tls_context *client, bool works)
{
	struct fixture fixture;
	struct tls_both both;
	struct sluice_tls_statistics statistics = {.size = sizeof statistics};

	fixture_begin(&fixture);
	both_run(&fixture, &both, server, client, NULL);
	cr_assert_eq(both.client_handshake.args.error == SLUICE_ERROR_SUCCESS, works, "%s, %s",
		     sluice_tls_error_text(both.client_tls),
		     sluice_tls_error_text(both.server_tls));
	cr_assert_eq(both.server_handshake.args.error == SLUICE_ERROR_SUCCESS, works);
	if (works) {
		sluice_tls_statistics(both.client_tls, &statistics);
		cr_assert_eq(statistics.version, SLUICE_TLS_VERSION_1_3);
		cr_assert_eq(statistics.resumed, 1);
	}
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	fixture_end(&fixture);
}

Test(t11, t11_both_sides_know_the_secret)
{
	meet(with_secret(true, SECRET, NULL), with_secret(false, SECRET, NULL), true);
}

Test(t11, t11_another_secret_is_refused_by_both_sides)
{
	struct sluice_tls_context *server = with_secret(true, SECRET, NULL);
	struct sluice_tls_context *client = with_secret(false, WRONG, NULL);
	struct fixture fixture;
	struct tls_both both;

	fixture_begin(&fixture);
	both_run(&fixture, &both, server, client, NULL);
	cr_assert_eq(both.client_handshake.args.native_error, EACCES);
	cr_assert_eq(both.server_handshake.args.native_error, EACCES);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	fixture_end(&fixture);
}

Test(t11, t11_another_name_is_refused_by_both_sides)
{
	meet(with_secret(true, SECRET, NULL), with_secret(false, SECRET, "else"), false);
}

Test(t11, t11_a_certificate_does_not_replace_the_secret)
{
	struct files files;

	files_make(&files);
	meet(server_context(&files), with_secret(false, SECRET, NULL), false);
	meet(with_secret(true, SECRET, NULL), client_context(&files), false);
	files_remove(&files);
}

/* ---- t12: sessions ---- */

static void resume(uint32_t version, bool reload)
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
	server = context_with(&options);
	client = client_context(&files);
	both_run(&fixture, &both, server, client, &again);
	operation_init(&send, &fixture);
	operation_init(&receive, &fixture);
	start_send(both.server, &send, "ticket", 6);
	run_receive(both.client, &receive, got, 6);
	again.session = session;
	again.session_length = sluice_tls_session(both.client_tls, session, sizeof session);
	cr_assert(again.session_length > 0 && again.session_length <= sizeof session);
	run_until(&fixture, is_over(&send));
	both_close(&both);
	if (reload) {
		struct sluice_tls_context *old = server;

		options.predecessor = old;
		server = context_with(&options);
		sluice_tls_context_destroy(old);
	}
	both_run(&fixture, &both, server, client, &again);
	assert_ended(&both.client_handshake, SLUICE_ERROR_SUCCESS, 0);
	sluice_tls_statistics(both.server_tls, &statistics);
	cr_assert_eq(statistics.version, version);
	cr_assert_eq(statistics.resumed, 1);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	files_remove(&files);
	fixture_end(&fixture);
}

Test(t12, t12_a_session_of_1_3_is_resumed)
{
	resume(SLUICE_TLS_VERSION_1_3, false);
}

Test(t12, t12_a_session_of_1_2_is_resumed)
{
	resume(SLUICE_TLS_VERSION_1_2, false);
}

Test(t12, t12_a_session_is_resumed_with_the_successor_of_its_context)
{
	resume(SLUICE_TLS_VERSION_1_3, true);
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

static void take_over(uint32_t version)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_probe probe = {.size = sizeof probe};
	struct sluice_tls_certificate certificate;
	struct sluice_tls_context_options options;
	struct sluice_tls_context_options client_options = {
		.size = sizeof client_options,
		.way = SLUICE_TLS_WAY_KERNEL,
	};
	struct sluice_tls_context *server, *client;
	struct tls_both both;

	cr_assert_eq(sluice_tls_probe(&probe), 0);
	if (!probe.kernel)
		cr_skip("the kernel has no TLS: %s", strerror(probe.kernel_error));
	fixture_begin(&fixture);
	files_make(&files);
	options = server_options(&files, &certificate);
	options.version_max = version;
	options.way = SLUICE_TLS_WAY_KERNEL;
	server = context_with(&options);
	client_options.authorities_file = files.certificate;
	client = context_with(&client_options);
	both_run(&fixture, &both, server, client, NULL);
	assert_ended(&both.server_handshake, SLUICE_ERROR_SUCCESS, 0);
	exchange(&fixture, both.server, both.client);
	exchange(&fixture, both.client, both.server);
	assert_taken_over(both.server_tls, version);
	assert_taken_over(both.client_tls, version);
	both_close(&both);
	sluice_tls_context_destroy(server);
	sluice_tls_context_destroy(client);
	files_remove(&files);
	fixture_end(&fixture);
}

Test(t13, t13_the_kernel_takes_over_both_directions_of_1_2)
{
	take_over(SLUICE_TLS_VERSION_1_2);
}

Test(t13, t13_the_kernel_takes_over_1_3)
{
	take_over(SLUICE_TLS_VERSION_1_3);
}

Test(t13, t13_each_way_can_be_forced_and_is_told)
{
	struct fixture fixture;
	struct files files;
	struct sluice_tls_probe probe = {.size = sizeof probe};
	const char *forced = getenv("SLUICE_TEST_TLS_WAY");
	uint32_t chosen;

	fixture_begin(&fixture);
	files_make(&files);
	cr_assert_eq(sluice_tls_probe(&probe), 0);
	cr_assert_not_null(strstr(probe.openssl, "OpenSSL"));
	chosen = probe.kernel ? SLUICE_TLS_WAY_KERNEL : SLUICE_TLS_WAY_LIBRARY;
	if (forced)
		chosen = strcmp(forced, "kernel") ? SLUICE_TLS_WAY_LIBRARY : SLUICE_TLS_WAY_KERNEL;
	for (uint32_t way = SLUICE_TLS_WAY_AUTO; way <= SLUICE_TLS_WAY_LIBRARY; way++) {
		struct sluice_tls_certificate certificate;
		struct sluice_tls_context_options options = server_options(&files, &certificate);
		struct sluice_tls_statistics statistics = {.size = sizeof statistics};
		struct sluice_tls_context *server, *client = client_context(&files);
		struct tls_both both;

		options.way = way;
		server = context_with(&options);
		both_run(&fixture, &both, server, client, NULL);
		sluice_tls_statistics(both.server_tls, &statistics);
		if (way == SLUICE_TLS_WAY_KERNEL && !probe.kernel) {
			cr_assert_eq(both.server_handshake.args.native_error, EOPNOTSUPP);
			cr_assert_eq(statistics.established, 0);
		} else {
			assert_ended(&both.server_handshake, SLUICE_ERROR_SUCCESS, 0);
			cr_assert_eq(statistics.sends_way,
				     way == SLUICE_TLS_WAY_AUTO ? chosen : way);
		}
		both_close(&both);
		sluice_tls_context_destroy(server);
		sluice_tls_context_destroy(client);
	}
	files_remove(&files);
	fixture_end(&fixture);
}
