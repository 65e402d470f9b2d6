/* SPDX-License-Identifier: MIT */
/* Operations whose time is over. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>

#define DEADLINE (20 * MILLISECOND)

PAIR_TEST(e05, e05_a_send_that_is_overdue_ends_with_the_bytes_taken_and_the_next_go_on, tcp_pair,
	  SMALL)
{
	struct operation overdue, queued, behind;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);
	int64_t begin;
	uint64_t taken;

	operation_init(&overdue, fixture);
	operation_init(&queued, fixture);
	operation_init(&behind, fixture);

	begin = now_ns();
	overdue.args.timeout_ns = 2 * DEADLINE;
	queued.args.timeout_ns = DEADLINE;
	cr_assert_eq(start_send(pair->socket, &overdue, bytes, HEAD_BYTES), 1);
	cr_assert_eq(start_send(pair->socket, &queued, "x", 1), 1);
	cr_assert_eq(start_send(pair->socket, &behind, bytes, 1000), 1);
	run_until(fixture, is_over(&queued));
	cr_assert_geq(now_ns() - begin, DEADLINE);
	assert_ended(&queued, SLUICE_ERROR_TIMED_OUT, 0);
	cr_assert_eq(queued.args.native_error, ETIMEDOUT);
	run_until(fixture, is_over(&overdue));
	cr_assert_geq(now_ns() - begin, 2 * DEADLINE);
	taken = overdue.args.bytes_transferred;
	assert_ended(&overdue, SLUICE_ERROR_TIMED_OUT, taken);
	cr_assert_gt(taken, 0);
	cr_assert_lt(taken, HEAD_BYTES);
	run_reading(fixture, pair->peer, taken, 0);
	run_reading(fixture, pair->peer, 1000, 0);
	run_until(fixture, is_over(&behind));
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 1000);

	free(bytes);
}

PAIR_TEST(e05, e05_an_overdue_half_sent_record_ends_the_stream_by_the_option, tcp_pair, SMALL)
{
	struct operation overdue;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);
	int error;

	operation_init(&overdue, fixture);
	cr_assert_eq(sluice_socket_set_option(pair->socket, SLUICE_SOCKET_END_ON_GIVE_UP, 1), 0);
	overdue.args.timeout_ns = DEADLINE;
	cr_assert_eq(start_send(pair->socket, &overdue, bytes, HEAD_BYTES), 1);
	run_until(fixture, is_over(&overdue));
	cr_assert_eq(overdue.args.error, SLUICE_ERROR_TIMED_OUT);
	cr_assert_eq(run_reading_to_end(fixture, pair->peer, 0, &error),
		     overdue.args.bytes_transferred);
	cr_assert_eq(error, 0);
	free(bytes);
}

PAIR_TEST(e05, e05_a_receive_and_an_accept_have_deadlines_too, tcp_pair, 0)
{
	struct sluice_socket *listener;
	struct operation receives[2], accept;
	char bytes[2][4];

	listener = attach(fixture, listen_tcp(0));
	operation_init(&accept, fixture);
	accept.args.timeout_ns = DEADLINE;
	cr_assert_eq(start(sluice_accept_async, listener, &accept), 1);
	for (int i = 0; i < 2; i++) {
		operation_init(&receives[i], fixture);
		receives[i].args.timeout_ns = i ? 0 : DEADLINE;
		cr_assert_eq(start_receive(pair->socket, &receives[i], bytes[i], 4), 1);
	}
	run_until(fixture, fixture->pending == 1);
	assert_ended(&accept, SLUICE_ERROR_TIMED_OUT, 0);
	assert_ended(&receives[0], SLUICE_ERROR_TIMED_OUT, 0);
	write_pattern(pair->peer, 4, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&receives[1], SLUICE_ERROR_SUCCESS, 4);
	cr_assert(pattern_matches(bytes[1], 4, 0));

	sluice_socket_destroy(listener);
}

PAIR_TEST(e05, e05_what_ends_in_time_is_not_touched, tcp_pair, 0)
{
	const int64_t deadline = 200 * MILLISECOND;
	struct operation receive;
	unsigned char bytes[4];

	operation_init(&receive, fixture);
	write_pattern(pair->peer, 4, 0);
	receive.args.timeout_ns = GUARD_NS;
	run_receive(pair->socket, &receive, bytes, 1);
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 1);
	receive.args.timeout_ns = deadline;
	run_receive(pair->socket, &receive, bytes, 4);
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 3);

	/* Nor does its deadline reach the record's next life. */
	receive.args.timeout_ns = 0;
	cr_assert_eq(start_receive(pair->socket, &receive, bytes, 4), 1);
	for (int64_t end = now_ns() + deadline + deadline / 2; now_ns() < end;)
		run_idle(fixture);
	cr_assert(!is_over(&receive));
	write_pattern(pair->peer, 4, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 4);
}

/* The machine may be busy, but not in every one of many rounds. */
PAIR_TEST(e05, e05_within_a_millisecond_and_a_turn_and_never_early, tcp_pair, 0)
{
	struct operation receive;
	int64_t least = INT64_MAX;
	char byte;

	operation_init(&receive, fixture);
	for (int round = 0; round < 50; round++) {
		int64_t timeout = 100000 + round * 77777, begin = now_ns(), late;

		receive.args.timeout_ns = timeout;
		cr_assert_eq(start_receive(pair->socket, &receive, &byte, 1), 1);
		run_until(fixture, is_over(&receive));
		late = now_ns() - begin - timeout;
		assert_ended(&receive, SLUICE_ERROR_TIMED_OUT, 0);
		cr_assert_geq(late, 0, "%lld ns early", -(long long)late);
		least = late < least ? late : least;
	}
	cr_assert_lt(least, 2 * MILLISECOND);
}

BLOCKED_TEST(e05, e05_a_disconnect_that_is_overdue_leaves_the_stream_open, blocked_begin)
{
	struct operation disconnect, packets_send, empty, behind;
	const struct sluice_packet packet = {
		.kind = SLUICE_PACKET_MEMORY, .base = "xyz", .count = 3};

	operation_init(&disconnect, fixture);
	operation_init(&packets_send, fixture);
	operation_init(&empty, fixture);
	operation_init(&behind, fixture);

	disconnect.args.timeout_ns = DEADLINE;
	packets_send.args.timeout_ns = DEADLINE;
	empty.args.timeout_ns = DEADLINE;
	cr_assert_eq(start(sluice_disconnect_async, blocked->pair.socket, &disconnect), 1);
	cr_assert_eq(sluice_args_set_packets(&packets_send.args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, blocked->pair.socket, &packets_send), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &empty, "x", 0), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, blocked->bytes, 3), 1);
	run_until(fixture, fixture->pending == 2);
	assert_ended(&disconnect, SLUICE_ERROR_TIMED_OUT, 0);
	assert_ended(&packets_send, SLUICE_ERROR_TIMED_OUT, 0);
	assert_ended(&empty, SLUICE_ERROR_TIMED_OUT, 0);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_reading(fixture, blocked->pair.peer, 3, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 3);
}

PAIR_TEST(e05, e05_the_longest_time_is_no_time, tcp_pair, 0)
{
	struct operation receive;
	unsigned char byte;

	operation_init(&receive, fixture);
	receive.args.timeout_ns = INT64_MAX;
	cr_assert_eq(start_receive(pair->socket, &receive, &byte, 1), 1);
	run_idle(fixture);
	cr_assert(!is_over(&receive));
	write_pattern(pair->peer, 1, 0);
	run_until(fixture, is_over(&receive));
	assert_ended(&receive, SLUICE_ERROR_SUCCESS, 1);
}

PAIR_TEST(e05, e05_1000_deadlines_of_one_socket_are_met_in_the_order_of_their_times, tcp_pair, 0)
{
	enum {
		RECEIVES = 1000
	};
	struct operation *receives;
	struct {
		int64_t earliest, latest;
	} due[RECEIVES];
	unsigned char byte;

	receives = operations_new(fixture, RECEIVES);
	for (int i = 0; i < RECEIVES; i++) {
		/* The last started are the first due; the first of all is never. */
		int64_t timeout = i ? DEADLINE + (RECEIVES - i) * 20000 : 0;

		receives[i].args.timeout_ns = timeout;
		due[i].earliest = now_ns() + timeout;
		cr_assert_eq(start_receive(pair->socket, &receives[i], &byte, 1), 1);
		due[i].latest = now_ns() + timeout;
	}
	run_until(fixture, fixture->pending == 1);
	for (int i = 1; i < RECEIVES; i++) {
		assert_ended(&receives[i], SLUICE_ERROR_TIMED_OUT, 0);
		if (i > 1 && due[i].latest < due[i - 1].earliest)
			cr_assert_lt(receives[i].turn, receives[i - 1].turn);
	}
	write_pattern(pair->peer, 1, 0);
	run_until(fixture, is_over(&receives[0]));
	assert_ended(&receives[0], SLUICE_ERROR_SUCCESS, 1);
	free(receives);
}
