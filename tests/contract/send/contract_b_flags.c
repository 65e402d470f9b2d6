/* SPDX-License-Identifier: MIT */
/* Which flags which operation takes, and what they do. */
#include "support.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>

#define OOB SLUICE_FLAG_OUT_OF_BAND
#define PEEK SLUICE_FLAG_PEEK
#define DONT_ROUTE SLUICE_FLAG_DONT_ROUTE
#define PARTIAL SLUICE_FLAG_PARTIAL
#define MORE SLUICE_FLAG_MORE
#define EAGER SLUICE_FLAG_EAGER
#define BATCHED SLUICE_FLAG_BATCHED

/* How the operation that is tried is made ready; its memory is one byte. */
static void ready(struct operation *operation, struct fixture *fixture, start_fn *begin)
{
	static char byte;
	static struct sockaddr_in address;
	static const struct sluice_packet packet = {
		.kind = SLUICE_PACKET_MEMORY, .base = &byte, .count = 1};

	operation_init(operation, fixture);
	address = loopback(1);
	operation->args.remote_address = (const struct sockaddr *)&address;
	operation->args.remote_address_length = sizeof address;
	if (begin == sluice_send_packets_async)
		cr_assert_eq(sluice_args_set_packets(&operation->args, &packet, 1), 0);
	else
		cr_assert_eq(sluice_args_set_receive_buffer(&operation->args, &byte, 1, 0, 1), 0);
}

static void assert_taken(struct fixture *fixture, struct pair *pair, start_fn *begin,
			 uint32_t flags)
{
	struct operation operation;
	int answer;

	ready(&operation, fixture, begin);
	operation.args.flags = flags;
	cr_log_info("flags %#x", flags);
	answer = start(begin, pair->socket, &operation);
	cr_assert(answer >= 0, "flags %#x: %d", flags, answer);
	if (answer == 1)
		run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 1);
	cr_assert_eq(operation.args.flags, 0);
}

static void assert_refused(struct fixture *fixture, struct pair *pair, start_fn *begin,
			   uint32_t flags)
{
	struct operation operation;

	ready(&operation, fixture, begin);
	operation.args.flags = flags;
	cr_assert_eq(start(begin, pair->socket, &operation), -EOPNOTSUPP, "flags %#x", flags);
}

/* Every single bit but those of `known`, and the combinations that the table's caller names. */
static void assert_other_bits_refused(struct fixture *fixture, struct pair *pair, start_fn *begin,
				      uint32_t known)
{
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (!(bit & known))
			assert_refused(fixture, pair, begin, bit);
	assert_refused(fixture, pair, begin, UINT32_MAX);
}

static void assert_combinations_refused(struct fixture *fixture, struct pair *pair, start_fn *begin)
{
	static const uint32_t alone[] = {OOB, DONT_ROUTE, PARTIAL, MORE};

	assert_refused(fixture, pair, begin, EAGER | BATCHED);
	for (size_t i = 0; i < 4; i++) {
		assert_refused(fixture, pair, begin, alone[i] | EAGER | BATCHED);
		assert_refused(fixture, pair, begin, alone[i] | 0x8);
		for (size_t j = 0; j < i; j++)
			assert_refused(fixture, pair, begin, alone[i] | alone[j]);
	}
}

PAIR_TEST(b13, b13_a_stream_s_send_takes_its_flags_each_alone_or_beside_eager_or_batched, tcp_pair,
	  0)
{
	static const uint32_t good[] = {0, OOB, DONT_ROUTE, PARTIAL, MORE};
	static start_fn *const sends[] = {sluice_send_async, sluice_send_to_async};

	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof good / sizeof *good; j++) {
			assert_taken(fixture, pair, sends[i], good[j]);
			assert_taken(fixture, pair, sends[i], good[j] | EAGER);
			assert_taken(fixture, pair, sends[i], good[j] | BATCHED);
		}
		assert_other_bits_refused(fixture, pair, sends[i],
					  OOB | DONT_ROUTE | PARTIAL | MORE | EAGER | BATCHED);
		assert_combinations_refused(fixture, pair, sends[i]);
	}
	assert_taken(fixture, pair, sluice_send_async, 0);
}

PAIR_TEST(b13, b13_a_unix_stream_s_send_takes_the_same, unix_pair, SOCK_STREAM)
{
	assert_taken(fixture, pair, sluice_send_async, DONT_ROUTE);
	assert_taken(fixture, pair, sluice_send_async, PARTIAL);
	assert_taken(fixture, pair, sluice_send_async, MORE);
	assert_other_bits_refused(fixture, pair, sluice_send_async,
				  OOB | DONT_ROUTE | PARTIAL | MORE | EAGER | BATCHED);
}

ENGINE_TEST(b13, b13_a_datagram_s_send_takes_dont_route_alone)
{
	static const uint32_t good[] = {0,       DONT_ROUTE,         EAGER,
					BATCHED, DONT_ROUTE | EAGER, DONT_ROUTE | BATCHED};
	struct pair pairs[2];

	udp_pair(fixture, &pairs[0]);
	unix_pair(fixture, &pairs[1], SOCK_DGRAM);
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof good / sizeof *good; j++)
			assert_taken(fixture, &pairs[i], sluice_send_async, good[j]);
		assert_other_bits_refused(fixture, &pairs[i], sluice_send_async,
					  DONT_ROUTE | EAGER | BATCHED);
		assert_other_bits_refused(fixture, &pairs[i], sluice_send_to_async,
					  DONT_ROUTE | EAGER | BATCHED);
		assert_combinations_refused(fixture, &pairs[i], sluice_send_async);
		pair_close(&pairs[i]);
	}
}

PAIR_TEST(b13, b13_send_packets_takes_more_alone, tcp_pair, 0)
{
	static const uint32_t good[] = {0, MORE, EAGER, BATCHED, MORE | EAGER, MORE | BATCHED};

	for (size_t j = 0; j < sizeof good / sizeof *good; j++)
		assert_taken(fixture, pair, sluice_send_packets_async, good[j]);
	assert_other_bits_refused(fixture, pair, sluice_send_packets_async, MORE | EAGER | BATCHED);
	assert_combinations_refused(fixture, pair, sluice_send_packets_async);
}

PAIR_TEST(b13, b13_a_receive_takes_out_of_band_and_peek, tcp_pair, 0)
{
	assert_other_bits_refused(fixture, pair, sluice_receive_async, OOB | PEEK);
	assert_refused(fixture, pair, sluice_receive_async, OOB | PEEK);

	cr_assert_eq(send(pair->peer, "n", 1, MSG_NOSIGNAL), 1);
	assert_taken(fixture, pair, sluice_receive_async, PEEK);
	assert_taken(fixture, pair, sluice_receive_async, PEEK);
	assert_taken(fixture, pair, sluice_receive_async, 0);
	cr_assert_eq(send(pair->peer, "u", 1, MSG_NOSIGNAL | MSG_OOB), 1);
	assert_taken(fixture, pair, sluice_receive_async, OOB);
}

PAIR_TEST(b13, b13_connect_accept_and_disconnect_take_none, tcp_pair, 0)
{
	static start_fn *const starts[] = {sluice_connect_async, sluice_accept_async,
					   sluice_disconnect_async};

	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		assert_other_bits_refused(fixture, pair, starts[i], 0);
}

BLOCKED_TEST(b13, b13_a_bad_flag_is_refused_at_once_and_the_queue_goes_on, blocked_begin)
{
	struct operation behind;

	operation_init(&behind, fixture);

	behind.args.flags = 0x100;
	cr_assert_eq(start_send(blocked->pair.socket, &behind, "x", 1), -EOPNOTSUPP);
	behind.args.flags = 0;
	cr_assert_eq(start_send(blocked->pair.socket, &behind, blocked->bytes, 10), 1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_reading(fixture, blocked->pair.peer, 10, 0);
	run_until(fixture, fixture->pending == 0);
}

/* ---- out of band ---- */

static void assert_out_of_band(int fd, char expected)
{
	char byte = 0;

	cr_assert_eq(recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT), 1);
	cr_assert_eq(byte, expected);
}

PAIR_TEST(b13, b13_out_of_band_marks_the_last_byte_alone, tcp_pair, 0)
{
	struct operation operation;
	char stream[6] = "";

	operation_init(&operation, fixture);

	run_send(pair->socket, &operation, "nn", 2);
	operation.args.flags = OOB;
	run_send(pair->socket, &operation, "abc", 3);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
	run_send(pair->socket, &operation, "mm", 2);
	read_exactly(pair->peer, stream, 4);
	cr_assert_str_eq(stream, "nnab");
	assert_out_of_band(pair->peer, 'c');
	read_exactly(pair->peer, stream, 2);
	cr_assert_arr_eq(stream, "mm", 2);
}

PAIR_TEST(b13, b13_out_of_band_is_never_gathered_with_a_neighbour, tcp_pair, 0)
{
	struct operation *operations;
	char stream[9] = "";

	operations = operations_new(fixture, 4);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	start_send(pair->socket, &operations[0], "nn", 2);
	operations[1].args.flags = OOB;
	start_send(pair->socket, &operations[1], "abc", 3);
	start_send(pair->socket, &operations[2], "mm", 2);
	start_send(pair->socket, &operations[3], "oo", 2);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	read_exactly(pair->peer, stream, 4);
	cr_assert_str_eq(stream, "nnab");
	assert_out_of_band(pair->peer, 'c');
	read_exactly(pair->peer, stream, 4);
	cr_assert_str_eq(stream, "mmoo");

	free(operations);
}

/* Every byte but the last belongs to the stream, whatever short sends were made of it. */
PAIR_TEST(b13, b13_out_of_band_of_2_megabytes_marks_one_byte, tcp_pair, SMALL)
{
	const size_t length = 2 * HEAD_BYTES;
	struct operation operation;
	unsigned char *bytes = pattern_new(length, 0);

	operation_init(&operation, fixture);

	operation.args.flags = OOB;
	cr_assert_eq(start_send(pair->socket, &operation, bytes, length), 1);
	run_reading(fixture, pair->peer, length - 1, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	assert_out_of_band(pair->peer, (char)pattern_at(length - 1));

	free(bytes);
}

PAIR_TEST(b13, b13_out_of_band_of_nothing_marks_nothing, tcp_pair, 0)
{
	struct operation operation;

	operation_init(&operation, fixture);

	operation.args.flags = OOB;
	run_send(pair->socket, &operation, "x", 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	run_send(pair->socket, &operation, "\0\1", 2);
	read_pattern(pair->peer, 2, 0);
}

/* ---- more ---- */

/* Within this time the kernel's cork still holds, if the machine did not stop meanwhile. */
#define CORK_SAFE (150 * MILLISECOND)

/* What was sent at `begin` or later has not arrived, unless it may have by the time of this look. */
static void assert_held_back(int peer, int64_t begin)
{
	char byte;
	bool came = recv(peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0;

	cr_assert(came || errno == EAGAIN, "%s", strerror(errno));
	cr_assert(!came || now_ns() - begin >= CORK_SAFE, "it came at once");
}

PAIR_TEST(b13, b13_more_is_held_back_until_the_next_send, tcp_pair, 0)
{
	struct operation operation;
	int64_t begin;

	operation_init(&operation, fixture);

	begin = now_ns();
	operation.args.flags = MORE;
	run_send(pair->socket, &operation, "\0\1", 2);
	run_idle(fixture);
	assert_held_back(pair->peer, begin);
	run_send(pair->socket, &operation, "\2", 1);
	read_pattern(pair->peer, 3, 0);

	/* Alone it arrives all the same, later. */
	operation.args.flags = MORE;
	run_send(pair->socket, &operation, "\3\4", 2);
	read_pattern(pair->peer, 2, 3);
}

PAIR_TEST(b13, b13_what_was_sent_without_more_is_not_held_back_with_it, tcp_pair, 0)
{
	struct operation *operations;
	unsigned char bytes[6];
	int64_t begin;

	operations = operations_new(fixture, 6);
	pattern_fill(bytes, sizeof bytes, 0);

	begin = now_ns();
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 4; i++) {
		operations[i].args.flags = i < 2 ? 0 : MORE;
		start_send(pair->socket, &operations[i], bytes + i, 1);
	}
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	read_pattern(pair->peer, 2, 0);
	assert_held_back(pair->peer, begin);
	run_send(pair->socket, &operations[4], bytes + 4, 1);
	read_pattern(pair->peer, 3, 2);

	free(operations);
}

/* Data segments that the kernel has sent. */
static uint32_t segments_sent(struct sluice_socket *socket)
{
	struct tcp_info information;
	socklen_t length = sizeof information;

	cr_assert_eq(getsockopt(sluice_socket_fd(socket), IPPROTO_TCP, TCP_INFO, &information,
				&length),
		     0);
	return information.tcpi_data_segs_out;
}

PAIR_TEST(b13, b13_more_and_what_follows_leave_in_one_segment, tcp_pair, 0)
{
	struct operation operation;
	uint32_t before;
	int64_t begin;

	operation_init(&operation, fixture);

	before = segments_sent(pair->socket);
	begin = now_ns();
	for (int i = 0; i < 10; i++) {
		operation.args.flags = i < 9 ? MORE : 0;
		run_send(pair->socket, &operation, "\0", 1);
	}
	if (now_ns() - begin < CORK_SAFE)
		cr_assert_eq(segments_sent(pair->socket) - before, 1);
}
