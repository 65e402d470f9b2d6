/* SPDX-License-Identifier: MIT */
/* Receiving over TLS. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"
#include "tls/peer.h"

TLS_TEST(t08, t08_receives_take_what_there_is_in_order, tls_pair_begin, 0)
{
	struct operation first, second, third;
	char one[40], two[1000], three[8];

	operation_init(&first, fixture);
	operation_init(&second, fixture);
	operation_init(&third, fixture);
	cr_assert_eq(start_receive(tls->pair.socket, &first, one, sizeof one), 1);
	cr_assert_eq(start_receive(tls->pair.socket, &second, two, sizeof two), 1);
	/* One TLS record, more than the first receive takes: the kernel has nothing left to signal. */
	peer_write(fixture, &tls->peer, "0123456789012345678901234567890123456789abc", 43);
	run_until(fixture, is_over(&first) && is_over(&second));
	assert_ended(&first, SLUICE_ERROR_SUCCESS, 40);
	assert_ended(&second, SLUICE_ERROR_SUCCESS, 3);
	cr_assert_arr_eq(two, "abc", 3);
	cr_assert_eq(start_receive(tls->pair.socket, &third, three, sizeof three), 1);
	cr_assert_eq(sluice_cancel(tls->pair.socket, &third.args), 0);
	run_until(fixture, is_over(&third));
	assert_ended(&third, SLUICE_ERROR_OPERATION_ABORTED, 0);
}

TLS_TEST(t08, t08_a_peek_leaves_the_bytes_and_no_room_waits_for_them, tls_pair_begin, 0)
{
	struct operation wait, peek, take;
	char bytes[8], none;

	operation_init(&wait, fixture);
	operation_init(&peek, fixture);
	operation_init(&take, fixture);
	cr_assert_eq(start_receive(tls->pair.socket, &wait, &none, 0), 1);
	run_idle(fixture);
	cr_assert(!is_over(&wait));
	peer_write(fixture, &tls->peer, "abc", 3);
	run_until(fixture, is_over(&wait));
	assert_ended(&wait, SLUICE_ERROR_SUCCESS, 0);
	peek.args.flags = SLUICE_FLAG_PEEK;
	run_receive(tls->pair.socket, &peek, bytes, sizeof bytes);
	assert_ended(&peek, SLUICE_ERROR_SUCCESS, 3);
	run_receive(tls->pair.socket, &take, bytes, sizeof bytes);
	assert_ended(&take, SLUICE_ERROR_SUCCESS, 3);
	cr_assert_arr_eq(bytes, "abc", 3);
}

TLS_TEST(t08, t08_a_list_takes_several_records_in_one_receive, tls_pair_begin, 0)
{
	struct operation operation;
	char one[10], two[10];
	struct iovec list[2] = {{one, sizeof one}, {two, sizeof two}};

	operation_init(&operation, fixture);
	peer_write(fixture, &tls->peer, "0123456789abcdef", 16);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, 2), 0);
	run_start(sluice_receive_async, tls->pair.socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 16);
	cr_assert_arr_eq(two, "abcdef", 6);
}

static void stream(struct fixture *fixture, struct tls *tls, size_t length, bool holds)
{
	struct consumer consumer;
	char *bytes = pattern_new(length, 0);

	consumer_init(&consumer, fixture, tls->pair.socket);
	consumer.holds = holds;
	cr_assert_eq(start_consuming(&consumer), 0);
	for (size_t at = 0; at < length;) {
		size_t part = length - at < 50000 ? length - at : 50000;
		int result = SSL_write(tls->peer.ssl, bytes + at, (int)part);

		run_for(fixture, 0);
		if (consumer.held_count)
			release_all(&consumer);
		if (result > 0)
			at += (size_t)result;
	}
	run_until(fixture, (release_all(&consumer), consumer.bytes == length));
	SSL_shutdown(tls->peer.ssl);
	run_until(fixture, consumer.terminals == 1);
	assert_terminal(&consumer, SLUICE_ERROR_SUCCESS);
	assert_no_buffer_lent(fixture);
	free(bytes);
}

TLS_TEST(t08, t08_receive_start_delivers_every_byte_and_the_end, tls_pair_begin, 0)
{
	stream(fixture, tls, 10 * 1048576 + 3, false);
}

TLS_TEST(t08, t08_receive_start_goes_on_when_held_buffers_come_back, tls_pair_begin, 0)
{
	stream(fixture, tls, 3 * 1048576 + 3, true);
}

TLS_TEST(t08, t08_receive_stop_loses_nothing, tls_pair_begin, 0)
{
	struct consumer consumer;
	char bytes[1000];

	pattern_fill(bytes, sizeof bytes, 0);
	consumer_init(&consumer, fixture, tls->pair.socket);
	cr_assert_eq(start_consuming(&consumer), 0);
	peer_write(fixture, &tls->peer, bytes, 400);
	run_until(fixture, consumer.bytes == 400);
	cr_assert_eq(stop_consuming(&consumer), 0);
	run_until(fixture, consumer.terminals == 1);
	assert_terminal(&consumer, SLUICE_ERROR_OPERATION_ABORTED);
	peer_write(fixture, &tls->peer, bytes + 400, 600);
	consumer.terminals = 0;
	cr_assert_eq(start_consuming(&consumer), 0);
	run_until(fixture, consumer.bytes == 1000);
	sluice_socket_close(tls->pair.socket);
	run_until(fixture, consumer.terminals == 1);
}

/* ---- the end, and what only looks like it ---- */

TLS_TEST(t07, t07_the_orderly_end_is_success_with_no_bytes, tls_pair_begin, 0)
{
	struct operation operation;
	char byte;

	operation_init(&operation, fixture);
	SSL_shutdown(tls->peer.ssl);
	run_receive(tls->pair.socket, &operation, &byte, 1);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
}

TLS_TEST(t07, t07_a_truncated_stream_is_no_orderly_end, tls_pair_begin, 0)
{
	struct operation operation;
	char byte;

	operation_init(&operation, fixture);
	shutdown(tls->peer.fd, SHUT_WR);
	run_receive(tls->pair.socket, &operation, &byte, 1);
	assert_ended(&operation, SLUICE_ERROR_CONNECTION_ABORTED, 0);
	cr_assert_neq(strlen(sluice_tls_error_text(tls->tls)), 0);
}

TLS_TEST(t07, t07_a_forged_record_ends_the_stream_with_an_error, tls_pair_begin, 0)
{
	static const char forged[] = "\x17\x03\x03\x00\x20"
				     "0123456789abcdef0123456789abcdef";
	struct operation operation;
	char byte;

	operation_init(&operation, fixture);
	cr_assert_eq(write(tls->peer.fd, forged, sizeof forged - 1), (ssize_t)sizeof forged - 1);
	run_receive(tls->pair.socket, &operation, &byte, 1);
	cr_assert_eq(operation.args.native_error, EPROTO);
	cr_assert_eq(operation.args.bytes_transferred, 0);
}

/* ---- while the application sends ---- */

Test(t08, t08_new_keys_are_taken_in_the_middle_of_a_stream)
{
	const size_t length = 2000000;
	struct fixture fixture;
	struct tls tls;
	struct operation send, receive;
	char *bytes, got[8];

	if (version_of_environment() < SLUICE_TLS_VERSION_1_3)
		cr_skip("TLS 1.2 has no new keys");
	bytes = pattern_new(length, 0);
	fixture_begin(&fixture);
	tls_pair_begin(&fixture, &tls, SMALL);
	operation_init(&send, &fixture);
	operation_init(&receive, &fixture);
	cr_assert_eq(start_receive(tls.pair.socket, &receive, got, sizeof got), 1);
	cr_assert_eq(start_send(tls.pair.socket, &send, bytes, length), 1);
	peer_read_pattern(&fixture, &tls.peer, length / 2, 0);
	cr_assert_eq(SSL_key_update(tls.peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	peer_write(&fixture, &tls.peer, "new keys", 8);
	run_until(&fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 8);
	peer_read_pattern(&fixture, &tls.peer, length - length / 2, length / 2);
	run_until(&fixture, is_over(&send));
	assert_ended(&send, SLUICE_ERROR_SUCCESS, length);
	free(bytes);
	tls_pair_end(&tls);
	fixture_end(&fixture);
}

BOTH_TEST(t08, t08_both_directions_at_once)
{
	const size_t length = 5000000;
	struct sluice_tls_options options = {.size = sizeof options, .server_name = "localhost"};
	struct operation one, other;
	struct consumer at_server, at_client;
	char *bytes = pattern_new(length, 0);

	both_connect(both, &options);
	assert_ended(&both->client_handshake, SLUICE_ERROR_SUCCESS, 0);
	operation_init(&one, fixture);
	operation_init(&other, fixture);
	consumer_init(&at_server, fixture, both->server);
	consumer_init(&at_client, fixture, both->client);
	cr_assert_eq(start_consuming(&at_server), 0);
	cr_assert_eq(start_consuming(&at_client), 0);
	start_send(both->server, &one, bytes, length);
	start_send(both->client, &other, bytes, length);
	run_until(fixture, at_server.bytes == length && at_client.bytes == length &&
				   is_over(&one) && is_over(&other));
	sluice_socket_close(both->client);
	run_until(fixture, at_server.terminals == 1 && at_client.terminals == 1);
	assert_terminal(&at_server, SLUICE_ERROR_SUCCESS);
	free(bytes);
}
