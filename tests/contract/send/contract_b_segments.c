/* SPDX-License-Identifier: MIT */
/* Lists of any length, empty segments among them, and memory that can only be read. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A run of segments of one length. */
struct run {
	size_t count, length;
};

/* The runs as one list over the pattern; returns the number of segments, and the bytes. */
static size_t make_list(const struct run *runs, size_t run_count, unsigned char *bytes,
			struct iovec *list, size_t *ret_bytes)
{
	size_t segments = 0, position = 0;

	for (size_t i = 0; i < run_count; i++) {
		for (size_t j = 0; j < runs[i].count; j++) {
			list[segments++] = segment(bytes + position, runs[i].length);
			position += runs[i].length;
		}
	}
	*ret_bytes = position;
	return segments;
}

#define SEGMENTS_MOST ((size_t)100000)
#define BYTES_MOST ((size_t)5000000)

/* Sends the list and reads it back; the sender has to be a stream. */
static void send_list(struct fixture *fixture, struct pair *pair, const struct run *runs,
		      size_t run_count)
{
	struct iovec *list = malloc(SEGMENTS_MOST * sizeof *list);
	static unsigned char *bytes; /* of all lists of the process */
	struct operation operation;
	size_t segments, length;

	if (!bytes)
		bytes = pattern_new(BYTES_MOST, 0);
	operation_init(&operation, fixture);
	segments = make_list(runs, run_count, bytes, list, &length);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, segments), 0);
	start(sluice_send_async, pair->socket, &operation);
	run_reading(fixture, pair->peer, length, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	assert_nothing_to_read(pair->peer);
	free(list);
}

static const struct {
	const char *name;
	struct run runs[3];
} stream_cases[] = {
	{"2,400 of 1", {{2400, 1}}},
	{"1,024 of 1", {{1024, 1}}},
	{"1,025 of 1", {{1025, 1}}},
	{"100,000 of 1", {{100000, 1}}},
	{"2,400 of 2,000", {{2400, 2000}}},
	{"2,000 empty, 1", {{2000, 0}, {1, 1}}},
	{"1,024 empty, 1, 5 empty", {{1024, 0}, {1, 1}, {5, 0}}},
	{"1, 1,500 empty, 1", {{1, 1}, {1500, 0}, {1, 1}}},
	{"3, 2,000 empty, 4", {{1, 3}, {2000, 0}, {1, 4}}},
	{"1,023 of 1, 1,024 empty, 1,025 of 1", {{1023, 1}, {1024, 0}, {1025, 1}}},
	{"1,500 of 9, 3,000 empty, 1,500 of 1,111", {{1500, 9}, {3000, 0}, {1500, 1111}}},
	{"3,000 empty", {{3000, 0}}},
};
#define STREAM_CASES (sizeof stream_cases / sizeof *stream_cases)

ENGINE_TEST(b09, b09_any_number_of_segments_arrives_whole)
{
	struct pair pair;

	for (size_t i = 0; i < STREAM_CASES; i++) {
		cr_log_info("%s", stream_cases[i].name);
		tcp_pair(fixture, &pair, 0);
		send_list(fixture, &pair, stream_cases[i].runs, 3);
		pair_close(&pair);
	}
}

ENGINE_TEST(b09, b09_any_number_of_segments_arrives_whole_through_small_buffers)
{
	struct pair pair;

	for (size_t i = 0; i < STREAM_CASES; i++) {
		tcp_pair(fixture, &pair, SMALL);
		send_list(fixture, &pair, stream_cases[i].runs, 3);
		pair_close(&pair);
		unix_pair(fixture, &pair, SOCK_STREAM);
		send_list(fixture, &pair, stream_cases[i].runs, 3);
		pair_close(&pair);
	}
}

BLOCKED_TEST(b09, b09_long_lists_behind_each_other_are_gathered_in_order, blocked_begin)
{
	enum {
		SENDS = 7
	};
	static const struct run runs[] = {{700, 3}, {1100, 0}, {700, 2}};
	struct operation *operations;
	struct iovec *lists[SENDS];
	unsigned char *bytes = pattern_new(BYTES_MOST, HEAD_BYTES);
	size_t position = 0, length;

	operations = operations_new(fixture, SENDS);
	for (size_t i = 0; i < SENDS; i++) {
		size_t segments;

		lists[i] = malloc(2500 * sizeof **lists);
		segments = make_list(runs, 3, bytes + position, lists[i], &length);
		position += length;
		cr_assert_eq(sluice_args_set_buffer_list(&operations[i].args, lists[i], segments),
			     0);
		cr_assert_eq(start(sluice_send_async, blocked->pair.socket, &operations[i]), 1);
	}
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + position, 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, length);
		free(lists[i]);
	}

	free(operations);
	free(bytes);
}

/* Sends the list as one datagram; `taken` says whether it is to arrive. */
static void send_datagram_list(struct fixture *fixture, struct pair *pair, const struct run *runs,
			       size_t run_count, bool taken)
{
	static unsigned char received[65536];
	struct iovec *list = malloc(SEGMENTS_MOST * sizeof *list);
	unsigned char *bytes = pattern_new(65536, 0);
	struct operation operation;
	size_t segments, length;

	operation_init(&operation, fixture);
	segments = make_list(runs, run_count, bytes, list, &length);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, segments), 0);
	run_start(sluice_send_async, pair->socket, &operation);
	if (taken) {
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
		cr_assert_eq(recv(pair->peer, received, sizeof received, 0), (ssize_t)length);
		cr_assert(pattern_matches(received, length, 0));
	} else {
		assert_ended(&operation, SLUICE_ERROR_MESSAGE_SIZE, 0);
		cr_assert_eq(operation.args.native_error, EMSGSIZE);
	}
	run_idle(fixture);
	assert_nothing_to_read(pair->peer);
	free(bytes);
	free(list);
}

static const struct {
	struct run runs[3];
	bool taken;
} datagram_cases[] = {
	{{{1023, 1}}, true},
	{{{1024, 1}}, true},
	{{{1025, 1}}, false},
	{{{1200, 1}}, false},
	{{{600, 1}, {5000, 0}, {424, 1}}, true},
	{{{600, 1}, {5000, 0}, {425, 1}}, false},
	{{{2000, 0}, {1, 1}}, true},
	{{{1, 3}, {2000, 0}, {1, 4}}, true},
	{{{2000, 0}}, true},
};

static void send_datagram_lists(bool batched)
{
	struct fixture fixture;
	struct pair pairs[2];

	fixture_begin(&fixture);
	udp_pair(&fixture, &pairs[0]);
	unix_pair(&fixture, &pairs[1], SOCK_DGRAM);
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof datagram_cases / sizeof *datagram_cases; j++) {
			if (batched)
				cr_assert_eq(sluice_batch_begin(fixture.engine), 0);
			send_datagram_list(&fixture, &pairs[i], datagram_cases[j].runs, 3,
					   datagram_cases[j].taken);
			if (batched)
				cr_assert_eq(sluice_batch_end(fixture.engine), 0);
		}
		pair_close(&pairs[i]);
	}
	fixture_end(&fixture);
}

Test(b09, b09_a_datagram_of_more_than_1024_segments_is_too_large_and_not_sent)
{
	send_datagram_lists(false);
}

Test(b09, b09_a_queued_datagram_of_more_than_1024_segments_too)
{
	send_datagram_lists(true);
}

/* ---- b14 ---- */

/* The pattern, in pages that can only be read. */
static unsigned char *read_only_pattern(size_t length)
{
	unsigned char *bytes =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(bytes, MAP_FAILED);
	pattern_fill(bytes, length, 0);
	cr_assert_eq(mprotect(bytes, length, PROT_READ), 0);
	return bytes;
}

ENGINE_TEST(b14, b14_a_stream_sends_from_a_read_only_mapping)
{
	struct pair pair;
	struct operation operation;
	unsigned char *bytes = read_only_pattern(HEAD_BYTES);
	const struct iovec list[] = {segment(bytes, 1000),
				     segment(bytes + 1000, HEAD_BYTES - 1000)};

	tcp_pair(fixture, &pair, SMALL);
	operation_init(&operation, fixture);

	cr_assert_eq(start_send(pair.socket, &operation, bytes, HEAD_BYTES), 1);
	run_reading(fixture, pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	cr_assert_eq(sluice_args_set_buffer(&operation.args, NULL, 0, 0, 0), 0);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, 2), 0);
	cr_assert_eq(start(sluice_send_async, pair.socket, &operation), 1);
	run_reading(fixture, pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	pair_close(&pair);
	munmap(bytes, HEAD_BYTES);
}

ENGINE_TEST(b14, b14_packets_and_datagrams_are_sent_from_a_read_only_mapping)
{
	struct pair stream, datagram;
	struct operation operation;
	unsigned char *bytes = read_only_pattern(HEAD_BYTES);
	const struct sluice_packet packet = {
		.kind = SLUICE_PACKET_MEMORY, .base = bytes, .count = (int64_t)HEAD_BYTES};

	tcp_pair(fixture, &stream, SMALL);
	udp_pair(fixture, &datagram);
	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_packets(&operation.args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_packets_async, stream.socket, &operation), 1);
	run_reading(fixture, stream.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	run_send(datagram.socket, &operation, bytes, 1000);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 1000);
	read_pattern(datagram.peer, 1000, 0);

	pair_close(&stream);
	pair_close(&datagram);
	munmap(bytes, HEAD_BYTES);
}
