/* SPDX-License-Identifier: MIT */
/* Receiving: what comes, in order, and the end of it; and ending one's own side. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void receive_and_wait(struct fixture *fixture, struct sluice_socket *socket, void *base,
			     size_t length, size_t expected)
{
	struct operation receive;

	operation_init(&receive, fixture);
	run_receive(socket, &receive, base, length);
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, expected);
}

ENGINE_TEST(e01, e01_a_receive_takes_what_there_is)
{
	struct pair pairs[3];
	unsigned char bytes[10];

	tcp_pair(fixture, &pairs[0], 0);
	unix_pair(fixture, &pairs[1], SOCK_STREAM);
	udp_pair(fixture, &pairs[2]);
	for (int i = 0; i < 3; i++) {
		write_pattern(pairs[i].peer, 7, 0);
		receive_and_wait(fixture, pairs[i].socket, bytes, sizeof bytes, 7);
		cr_assert(pattern_matches(bytes, 7, 0));
		pair_close(&pairs[i]);
	}
}

ENGINE_TEST(e01, e01_a_receive_waits_for_the_first_byte)
{
	struct pair pairs[3];
	struct operation receive;
	unsigned char bytes[10];

	tcp_pair(fixture, &pairs[0], 0);
	unix_pair(fixture, &pairs[1], SOCK_STREAM);
	udp_pair(fixture, &pairs[2]);
	for (int i = 0; i < 3; i++) {
		operation_init(&receive, fixture);
		cr_assert_eq(start_receive(pairs[i].socket, &receive, bytes, sizeof bytes), 1);
		run_idle(fixture);
		cr_assert(!is_over(&receive));
		write_pattern(pairs[i].peer, 3, 0);
		run_until(fixture, is_over(&receive));
		assert_ended(&receive, SLUICE_ERROR_SUCCESS, 3);
		cr_assert(pattern_matches(bytes, 3, 0));
		pair_close(&pairs[i]);
	}
}

PAIR_TEST(e01, e01_a_receive_writes_only_where_it_may, tcp_pair, 0)
{
	struct operation receive;
	unsigned char bytes[10];

	operation_init(&receive, fixture);
	memset(bytes, 0xff, sizeof bytes);

	write_pattern(pair->peer, 10, 0);
	cr_assert_eq(sluice_args_set_receive_buffer(&receive.args, bytes, sizeof bytes, 3, 4), 0);
	run_start(sluice_receive_async, pair->socket, &receive);
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 4);
	cr_assert(pattern_matches(bytes + 3, 4, 0));
	for (int i = 0; i < 10; i++)
		cr_assert(i >= 3 && i < 7 ? bytes[i] != 0xff : bytes[i] == 0xff);
	receive_and_wait(fixture, pair->socket, bytes, 10, 6);
	cr_assert(pattern_matches(bytes, 6, 4));
}

PAIR_TEST(e01, e01_a_receive_fills_a_list, tcp_pair, 0)
{
	struct operation receive;
	unsigned char bytes[3][4];
	const struct iovec list[] = {
		{bytes[0], 2}, {bytes[1], 0}, {bytes[1], 3}, {bytes[2], 4}, {bytes[2], 0}};

	operation_init(&receive, fixture);

	cr_assert_eq(sluice_args_set_buffer_list(&receive.args, list, 5), 0);
	for (int round = 0; round < 2; round++) {
		if (round)
			write_pattern(pair->peer, 7, 0);
		if (start(sluice_receive_async, pair->socket, &receive) == 1) {
			if (!round)
				write_pattern(pair->peer, 7, 0);
			run_until(fixture, is_over(&receive));
		}
		assert_ended(&receive, SLUICE_ERROR_SUCCESS, 7);
		cr_assert(pattern_matches(bytes[0], 2, 0));
		cr_assert(pattern_matches(bytes[1], 3, 2));
		cr_assert(pattern_matches(bytes[2], 2, 5));
		memset(bytes, 0xff, sizeof bytes);
	}
}

PAIR_TEST(e01, e01_empty_segments_of_a_receive_count_for_nothing, tcp_pair, 0)
{
	enum {
		EMPTY = 3000
	};
	struct operation receive;
	unsigned char bytes[2][3];
	struct iovec *list = calloc(EMPTY + 3, sizeof *list);

	operation_init(&receive, fixture);

	list[EMPTY / 2] = (struct iovec){bytes[0], 3};
	list[EMPTY + 1] = (struct iovec){bytes[1], 3};
	cr_assert_eq(sluice_args_set_buffer_list(&receive.args, list, EMPTY + 3), 0);
	write_pattern(pair->peer, 5, 0);
	run_start(sluice_receive_async, pair->socket, &receive);
	cr_assert_eq(receive.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_geq(receive.args.bytes_transferred, 1, "data taken for the end of the stream");
	cr_assert(pattern_matches(bytes[0], receive.args.bytes_transferred < 3 ? 1 : 3, 0));

	/* And while it waits. */
	if (receive.args.bytes_transferred < 5)
		run_start(sluice_receive_async, pair->socket, &receive);
	cr_assert_eq(start(sluice_receive_async, pair->socket, &receive), 1);
	run_idle(fixture);
	cr_assert(!is_over(&receive));
	write_pattern(pair->peer, 2, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 2);
	cr_assert(pattern_matches(bytes[0], 2, 0));

	free(list);
}

ENGINE_TEST(e01, e01_an_empty_datagram_is_received_and_is_no_end)
{
	struct pair pairs[2];
	struct operation receive;
	unsigned char bytes[4];

	udp_pair(fixture, &pairs[0]);
	unix_pair(fixture, &pairs[1], SOCK_DGRAM);
	for (int i = 0; i < 2; i++) {
		operation_init(&receive, fixture);
		cr_assert_eq(start_receive(pairs[i].socket, &receive, bytes, 4), 1);
		cr_assert_eq(send(pairs[i].peer, "", 0, 0), 0);
		write_pattern(pairs[i].peer, 2, 0);
		run_until(fixture, is_over(&receive));
		assert_ended(&receive, SLUICE_ERROR_SUCCESS, 0);
		receive_and_wait(fixture, pairs[i].socket, bytes, 4, 2);
		cr_assert(pattern_matches(bytes, 2, 0));
		pair_close(&pairs[i]);
	}
}

/* ---- datagrams that do not fit ---- */

static void datagram_pair(struct fixture *fixture, struct pair *pair, int kind)
{
	if (kind == 0)
		udp_pair(fixture, pair);
	else
		unix_pair(fixture, pair, kind == 1 ? SOCK_DGRAM : SOCK_SEQPACKET);
}

/* The record is set up; first with the datagram there, then pending. */
static void assert_truncated(struct fixture *fixture, struct pair *pair, struct operation *receive,
			     size_t sent, size_t fits)
{
	for (int pending = 0; pending < 2; pending++) {
		if (!pending)
			write_pattern(pair->peer, sent, 0);
		cr_assert_eq(start(sluice_receive_async, pair->socket, receive), pending);
		if (pending) {
			run_idle(fixture);
			write_pattern(pair->peer, sent, 0);
		}
		run_until(fixture, is_over(receive));
		assert_ended(receive, SLUICE_ERROR_MESSAGE_SIZE, fits);
		cr_assert_eq(receive->args.native_error, EMSGSIZE);
	}
}

ENGINE_TEST(e01, e01_a_datagram_that_does_not_fit_is_message_size_with_what_fits)
{
	struct operation receive;
	struct pair pair;
	unsigned char bytes[600];

	for (int kind = 0; kind < 3; kind++) {
		datagram_pair(fixture, &pair, kind);
		operation_init(&receive, fixture);
		cr_assert_eq(sluice_args_set_receive_buffer(&receive.args, bytes, 600, 0, 100), 0);
		memset(bytes, 0xee, sizeof bytes);
		assert_truncated(fixture, &pair, &receive, 500, 100);
		cr_assert(pattern_matches(bytes, 100, 0));
		cr_assert_eq(bytes[100], 0xee);

		/* What fits to the last byte is whole, and so is the next datagram. */
		for (int pending = 0; pending < 2; pending++) {
			write_pattern(pair.peer, 100, 3);
			receive_and_wait(fixture, pair.socket, bytes, 100, 100);
			cr_assert(pattern_matches(bytes, 100, 3));
		}
		pair_close(&pair);
	}
}

Test(e01, e01_a_datagram_that_needs_too_many_segments_is_message_size)
{
	enum {
		SEGMENTS = 1200,
		MOST = 1024
	};
	struct fixture fixture;
	struct operation receive;
	struct pair pair;
	unsigned char bytes[SEGMENTS];
	struct iovec *list = calloc(SEGMENTS, sizeof *list);

	for (size_t i = 0; i < SEGMENTS; i++)
		list[i] = segment(bytes + i, 1);
	fixture_begin(&fixture);
	for (int kind = 0; kind < 3; kind++) {
		datagram_pair(&fixture, &pair, kind);
		operation_init(&receive, &fixture);
		cr_assert_eq(sluice_args_set_buffer_list(&receive.args, list, SEGMENTS), 0);
		assert_truncated(&fixture, &pair, &receive, SEGMENTS, MOST);
		cr_assert(pattern_matches(bytes, MOST, 0));
		write_pattern(pair.peer, MOST, 0);
		run_start(sluice_receive_async, pair.socket, &receive);
		assert_ended(&receive, SLUICE_ERROR_SUCCESS, MOST);
		pair_close(&pair);
	}
	free(list);
	fixture_end(&fixture);
}

PAIR_TEST(e01, e01_a_receive_without_memory_is_refused, tcp_pair, 0)
{
	struct operation receive;

	operation_init(&receive, fixture);
	write_pattern(pair->peer, 1, 0);
	cr_assert_eq(start(sluice_receive_async, pair->socket, &receive), -EINVAL);
}

PAIR_TEST(e01, e01_receives_of_one_socket_are_served_in_order, tcp_pair, 0)
{
	enum {
		RECEIVES = 50
	};
	struct operation *receives;
	unsigned char bytes[RECEIVES][100];
	uint64_t position = 0;

	receives = operations_new(fixture, RECEIVES);
	for (size_t i = 0; i < RECEIVES; i++)
		cr_assert_eq(start_receive(pair->socket, &receives[i], bytes[i], i + 1), 1);
	for (size_t i = 0; i < RECEIVES; i++) {
		write_pattern(pair->peer, 26, i * 26);
		run_idle(fixture);
	}
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < RECEIVES; i++) {
		uint64_t count = receives[i].args.bytes_transferred;

		cr_assert_eq(receives[i].args.error, SLUICE_ERROR_SUCCESS);
		cr_assert(count >= 1 && count <= i + 1);
		cr_assert(pattern_matches(bytes[i], count, position));
		cr_assert_eq(receives[i].turn, i + 1);
		position += count;
	}

	free(receives);
}

PAIR_TEST(e01, e01_a_receive_of_zero_bytes_waits_until_something_can_be_read, tcp_pair, 0)
{
	struct operation receive;
	unsigned char bytes[8];

	operation_init(&receive, fixture);

	cr_assert_eq(start_receive(pair->socket, &receive, bytes, 0), 1);
	run_idle(fixture);
	cr_assert(!is_over(&receive));
	write_pattern(pair->peer, 5, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 0);
	receive_and_wait(fixture, pair->socket, bytes, 0, 0);
	receive_and_wait(fixture, pair->socket, bytes, 8, 5);
	cr_assert(pattern_matches(bytes, 5, 0));
}

PAIR_TEST(e01, e01_the_end_of_the_stream_is_success_with_0_bytes_again_and_again, tcp_pair, 0)
{
	struct operation receive;
	unsigned char bytes[8];

	operation_init(&receive, fixture);

	write_pattern(pair->peer, 5, 0);
	receive_and_wait(fixture, pair->socket, bytes, 8, 5);
	cr_assert_eq(start_receive(pair->socket, &receive, bytes, 8), 1);
	close(pair->peer);
	pair->peer = -1;
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 0);
	for (int i = 0; i < 3; i++)
		receive_and_wait(fixture, pair->socket, bytes, 8, 0);
	receive_and_wait(fixture, pair->socket, bytes, 0, 0);
}

PAIR_TEST(e01, e01_the_end_ends_every_receive_that_waits, tcp_pair, 0)
{
	struct operation *receives;
	unsigned char bytes[4][8];

	receives = operations_new(fixture, 4);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(start_receive(pair->socket, &receives[i], bytes[i], 8), 1);
	write_pattern(pair->peer, 5, 0);
	cr_assert_eq(shutdown(pair->peer, SHUT_WR), 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < 4; i++)
		assert_ended(&receives[i], SLUICE_ERROR_SUCCESS, i ? 0 : 5);

	/* The other direction still works. */
	cr_assert_eq(start_send(pair->socket, &receives[0], "\0", 1), 0);
	read_pattern(pair->peer, 1, 0);

	free(receives);
}

PAIR_TEST(e01, e01_after_shutting_down_the_receiving_side, tcp_pair, 0)
{
	struct operation receive;
	unsigned char bytes[8];

	operation_init(&receive, fixture);
	cr_assert_eq(start_receive(pair->socket, &receive, bytes, 8), 1);
	cr_assert_eq(sluice_socket_shutdown(pair->socket, SHUT_RD), 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 0);
	receive_and_wait(fixture, pair->socket, bytes, 8, 0);
}

BLOCKED_TEST(e01, e01_sends_and_receives_do_not_hinder_each_other, blocked_begin)
{
	struct operation receive;
	unsigned char bytes[8];

	operation_init(&receive, fixture);

	cr_assert_eq(start_receive(blocked->pair.socket, &receive, bytes, 8), 1);
	write_pattern(blocked->pair.peer, 5, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 5);
	cr_assert_eq(start_receive(blocked->pair.socket, &receive, bytes, 8), 1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	cr_assert(!is_over(&receive));
	write_pattern(blocked->pair.peer, 2, 0);
	run_until(fixture, is_over(&receive));
}

ENGINE_TEST(e01, e01_receive_and_disconnect_never_connected)
{
	struct sluice_socket *fresh;
	struct operation operation;
	unsigned char bytes[8];

	fresh = attach(fixture, new_tcp(0));
	operation_init(&operation, fixture);
	cr_assert_eq(start_receive(fresh, &operation, bytes, 8), -ENOTCONN);
	cr_assert_eq(start(sluice_disconnect_async, fresh, &operation), -ENOTCONN);
	sluice_socket_destroy(fresh);
}

/* ---- two sockets of one engine ---- */

struct echo {
	struct operation receive, send;
	unsigned char buffer[5000];
};

static void echo_sent(struct operation *send)
{
	struct echo *echo = send->token;

	cr_assert_eq(send->args.error, SLUICE_ERROR_SUCCESS);
	start_receive(send->socket, &echo->receive, echo->buffer, sizeof echo->buffer);
}

static void echo_received(struct operation *receive)
{
	struct echo *echo = receive->token;
	size_t count = receive->args.bytes_transferred;

	cr_assert_eq(receive->args.error, SLUICE_ERROR_SUCCESS);
	if (count)
		start_send(receive->socket, &echo->send, echo->buffer, count);
}

Test(e01, e01_an_echo_between_two_sockets_of_one_engine)
{
	static unsigned char received[HEAD_BYTES];
	struct fixture fixture;
	struct sluice_socket *client, *server;
	struct echo echo;
	struct operation send, receive;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);
	size_t done = 0;

	fixture_begin(&fixture);
	attached_pair(&fixture, &client, &server);
	operation_init(&send, &fixture);
	operation_init(&receive, &fixture);
	operation_init(&echo.receive, &fixture);
	operation_init(&echo.send, &fixture);
	echo.receive.then = echo_received;
	echo.send.then = echo_sent;
	echo.receive.token = echo.send.token = &echo;

	cr_assert_eq(start_receive(server, &echo.receive, echo.buffer, sizeof echo.buffer), 1);
	start_send(client, &send, bytes, HEAD_BYTES);
	while (done < HEAD_BYTES) {
		run_receive(client, &receive, received + done, HEAD_BYTES - done);
		cr_assert_eq(receive.args.error, SLUICE_ERROR_SUCCESS);
		cr_assert_gt(receive.args.bytes_transferred, 0);
		done += receive.args.bytes_transferred;
	}
	cr_assert(pattern_matches(received, HEAD_BYTES, 0));
	run_until(&fixture, is_over(&send));
	cr_assert_eq(sluice_socket_shutdown(client, SHUT_WR), 0);
	run_until(&fixture, fixture.pending == 0);

	sluice_socket_destroy(client);
	sluice_socket_destroy(server);
	free(bytes);
	fixture_end(&fixture);
}
