/* SPDX-License-Identifier: MIT */
/* What a record sends: buffer, list and packets, how they are checked and who keeps them. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- a03 ---- */

PAIR_TEST(a03, a03_buffer_and_list_exclude_each_other, tcp_pair, 0)
{
	struct operation operation;
	const struct iovec list[] = {segment("\0\1", 2), segment("\2\3\4", 3)};
	struct sluice_args *args = &operation.args;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer(args, "\0\1\2", 3, 0, 3), 0);
	cr_assert_eq(sluice_args_set_buffer_list(args, list, 2), -EINVAL);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
	read_pattern(pair->peer, 3, 0);

	cr_assert_eq(sluice_args_set_buffer(args, NULL, 0, 0, 0), 0);
	cr_assert_eq(sluice_args_set_buffer_list(args, list, 2), 0);
	cr_assert_eq(sluice_args_set_buffer(args, "\0\1\2", 3, 0, 3), -EINVAL);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	read_pattern(pair->peer, 5, 0);

	cr_assert_eq(sluice_args_set_buffer_list(args, NULL, 0), 0);
	cr_assert_eq(sluice_args_set_buffer(args, "\0\1\2", 3, 0, 3), 0);
}

PAIR_TEST(a03, a03_clearing_what_is_not_set_changes_nothing, tcp_pair, 0)
{
	struct operation operation;
	const struct iovec list[] = {segment("\0\1", 2), segment("\2\3\4", 3)};
	struct sluice_args *args = &operation.args;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer(args, "\0\1\2", 3, 0, 3), 0);
	cr_assert_eq(sluice_args_set_buffer_list(args, NULL, 0), 0);
	cr_assert_eq(sluice_args_set_packets(args, NULL, 0), 0);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);

	cr_assert_eq(sluice_args_set_buffer(args, NULL, 0, 0, 0), 0);
	cr_assert_eq(sluice_args_set_buffer_list(args, list, 2), 0);
	cr_assert_eq(sluice_args_set_buffer(args, NULL, 0, 0, 0), 0);
	cr_assert_eq(sluice_args_set_receive_buffer(args, NULL, 0, 0, 0), 0);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
}

PAIR_TEST(a03, a03_an_empty_list_is_refused_and_the_old_one_stays, tcp_pair, 0)
{
	struct operation operation;
	const struct iovec list[] = {segment("\0\1", 2), segment("\2\3\4", 3)};

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, 0), -EINVAL);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EINVAL);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, 2), 0);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, 0), -EINVAL);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
}

PAIR_TEST(a03, a03_a_receive_buffer_takes_the_buffer_s_place_and_can_be_sent_from, tcp_pair, 0)
{
	struct operation operation;
	char bytes[] = {0, 1, 2, 3};
	const struct iovec list = {bytes, 2};
	struct sluice_args *args = &operation.args;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_receive_buffer(args, bytes, 4, 0, 4), 0);
	cr_assert_eq(sluice_args_set_buffer_list(args, &list, 1), -EINVAL);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 4);
	read_pattern(pair->peer, 4, 0);

	cr_assert_eq(sluice_args_set_buffer(args, NULL, 0, 0, 0), 0);
	cr_assert_eq(sluice_args_set_buffer_list(args, &list, 1), 0);
	cr_assert_eq(sluice_args_set_receive_buffer(args, bytes, 4, 0, 4), -EINVAL);
}

PAIR_TEST(a03, a03_receiving_into_a_buffer_that_is_only_for_sending_is_refused, tcp_pair, 0)
{
	struct operation operation;
	char bytes[4] = "abc";

	operation_init(&operation, fixture);

	write_pattern(pair->peer, 4, 0);
	cr_assert_eq(sluice_args_set_buffer(&operation.args, bytes, 4, 0, 4), 0);
	cr_assert_eq(start(sluice_receive_async, pair->socket, &operation), -EINVAL);
	cr_assert_str_eq(bytes, "abc");
	cr_assert_eq(sluice_args_set_receive_buffer(&operation.args, bytes, 4, 0, 4), 0);
	run_start(sluice_receive_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 4);
}

PAIR_TEST(a03, a03_packets_have_a_place_of_their_own, tcp_pair, 0)
{
	struct operation operation;
	const struct sluice_packet packet = {
		.kind = SLUICE_PACKET_MEMORY, .base = "\0\1\2\3\4", .count = 5};
	struct sluice_args *args = &operation.args;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_packets(args, &packet, 1), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EINVAL);
	cr_assert_eq(start_send(pair->socket, &operation, "\0\1\2", 3), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 3);
	read_pattern(pair->peer, 3, 0);
	run_start(sluice_send_packets_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	read_pattern(pair->peer, 5, 0);

	cr_assert_eq(sluice_args_set_packets(args, NULL, 0), 0);
	cr_assert_eq(start(sluice_send_packets_async, pair->socket, &operation), -EINVAL);
}

/* ---- a04 ---- */

static void assert_nothing_set_is_refused(struct fixture *fixture, struct pair *pair)
{
	struct operation operation;
	struct sluice_args *args = &operation.args;

	operation_init(&operation, fixture);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EINVAL);
	cr_assert_eq(start(sluice_send_to_async, pair->socket, &operation), -EINVAL);
	cr_assert_eq(sluice_args_set_buffer(args, "x", 1, 0, 1), 0);
	cr_assert_eq(sluice_args_set_buffer(args, NULL, 5, 0, 0), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EINVAL);
	run_idle(fixture);
	assert_nothing_to_read(pair->peer);
}

PAIR_TEST(a04, a04_neither_buffer_nor_list_is_refused, tcp_pair, 0)
{
	assert_nothing_set_is_refused(fixture, pair);
	pair_close(pair);
	udp_pair(fixture, pair);
	assert_nothing_set_is_refused(fixture, pair);
}

PAIR_TEST(a04, a04_a_zero_length_buffer_is_a_zero_byte_send, tcp_pair, 0)
{
	struct operation operation;
	const struct iovec empty[] = {segment("x", 0), segment(NULL, 0)};

	operation_init(&operation, fixture);

	cr_assert_eq(start_send(pair->socket, &operation, "x", 0), 0);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_eq(sluice_args_set_buffer(&operation.args, "12345678", 8, 8, 0), 0);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	cr_assert_eq(sluice_args_set_buffer(&operation.args, NULL, 0, 0, 0), 0);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, empty, 2), 0);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
	assert_nothing_to_read(pair->peer);
}

/* ---- a05 ---- */

static const struct {
	int64_t offset, count;
} bad_pairs[] = {
	{-1, 1}, {9, 0}, {INT64_MAX, 1}, {INT64_MIN, 0}, {0, -1},
	{0, 9},  {4, 5}, {8, 1},         {1, INT64_MAX}, {-1, -1},
};
#define BAD_PAIRS (sizeof bad_pairs / sizeof *bad_pairs)

PAIR_TEST(a05, a05_a_bad_offset_or_count_is_refused_and_the_old_buffer_stays, tcp_pair, 0)
{
	struct operation operation;
	char writable[8];
	struct sluice_args *args = &operation.args;

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer(args, "xx\0\1\2\3x", 8, 2, 4), 0);
	for (size_t i = 0; i < BAD_PAIRS; i++) {
		int64_t offset = bad_pairs[i].offset, count = bad_pairs[i].count;

		cr_assert_eq(sluice_args_set_buffer(args, "12345678", 8, offset, count), -ERANGE);
		cr_assert_eq(sluice_args_set_receive_buffer(args, writable, 8, offset, count),
			     -ERANGE);
	}
	cr_assert_eq(sluice_args_set_buffer(args, NULL, 8, 0, 8), -EINVAL);
	cr_assert_eq(sluice_args_set_receive_buffer(args, NULL, 8, 0, 1), -EINVAL);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 4);
	read_pattern(pair->peer, 4, 0);
	assert_nothing_to_read(pair->peer);
}

PAIR_TEST(a05, a05_a_segment_without_memory_is_refused_and_the_old_list_stays, tcp_pair, 0)
{
	struct operation operation;
	const struct iovec good[] = {segment("\0\1", 2), segment(NULL, 0), segment("\2\3\4", 3)};
	const struct iovec bad[] = {segment("ab", 2), segment(NULL, 1)};

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, bad, 2), -EINVAL);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), -EINVAL);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, good, 3), 0);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, bad, 2), -EINVAL);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, NULL, 2), -EINVAL);
	run_start(sluice_send_async, pair->socket, &operation);
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
	read_pattern(pair->peer, 5, 0);
}

Test(a05, a05_bad_packets_are_refused)
{
	static const struct {
		struct sluice_packet packet;
		int answer;
	} cases[] = {
		{{.kind = SLUICE_PACKET_MEMORY, .base = "abc", .offset = -1, .count = 1}, -ERANGE},
		{{.kind = SLUICE_PACKET_MEMORY, .base = "abc", .count = -1}, -ERANGE},
		{{.kind = SLUICE_PACKET_FILE, .offset = -1}, -ERANGE},
		{{.kind = SLUICE_PACKET_FILE, .count = INT64_MIN}, -ERANGE},
		{{.kind = SLUICE_PACKET_PATH, .path = "/x", .offset = -1}, -ERANGE},
		{{.kind = SLUICE_PACKET_FILE + 1, .base = "abc", .count = 3}, -EINVAL},
		{{.kind = UINT32_MAX}, -EINVAL},
		{{.kind = SLUICE_PACKET_MEMORY, .count = 1}, -EINVAL},
		{{.kind = SLUICE_PACKET_PATH}, -EINVAL},
		{{.kind = SLUICE_PACKET_MEMORY, .base = "abc", .count = 3, .identity = 1}, -EINVAL},
		{{.kind = SLUICE_PACKET_MEMORY, .count = 0}, 0},
		{{.kind = SLUICE_PACKET_NONE}, 0},
	};
	struct sluice_args args = {0};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sluice_packet packets[2] = {
			{.kind = SLUICE_PACKET_MEMORY, .base = "x", .count = 1}, cases[i].packet};

		cr_assert_eq(sluice_args_set_packets(&args, &cases[i].packet, 1), cases[i].answer,
			     "case %zu", i);
		cr_assert_eq(sluice_args_set_packets(&args, packets, 2), cases[i].answer,
			     "case %zu, second", i);
	}
	cr_assert_eq(sluice_args_set_packets(&args, NULL, 1), -EINVAL);
}

/* ---- a06 ---- */

Test(a06, a06_a_short_list_is_copied_when_it_is_set)
{
	struct fixture fixture;
	struct pair pair;
	struct operation operation;
	struct iovec list[] = {segment("\0\1", 2), segment("\2\3\4", 3)};

	cr_assert_geq(SLUICE_INLINE_SEGMENTS, 2);
	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);

	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, 2), 0);
	memset(list, 0xff, sizeof list);
	for (int turn = 0; turn < 3; turn++) {
		run_start(sluice_send_async, pair.socket, &operation);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 5);
		read_pattern(pair.peer, 5, 0);
	}

	pair_close(&pair);
	fixture_end(&fixture);
}

BLOCKED_TEST(a06, a06_a_short_list_lives_in_its_record_while_pending, blocked_begin)
{
	struct operation behind;
	unsigned char *bytes = pattern_new(3 * HEAD_BYTES, HEAD_BYTES);
	struct iovec list[] = {{bytes, HEAD_BYTES}, {bytes + HEAD_BYTES, 2 * HEAD_BYTES}};

	operation_init(&behind, fixture);

	cr_assert_eq(sluice_args_set_buffer_list(&behind.args, list, 2), 0);
	cr_assert_eq(start(sluice_send_async, blocked->pair.socket, &behind), 1);
	memset(list, 0xff, sizeof list);
	run_reading(fixture, blocked->pair.peer, 4 * HEAD_BYTES, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 3 * HEAD_BYTES);

	free(bytes);
}

/* One page that can only be read, so that a write to it ends the test. */
static void *read_only_page(const void *contents, size_t length)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(page, MAP_FAILED);
	memcpy(page, contents, length);
	cr_assert_eq(mprotect(page, 4096, PROT_READ), 0);
	return page;
}

PAIR_TEST(a06, a06_a_long_list_is_read_in_place_and_never_written_to, tcp_pair, SMALL)
{
	enum {
		SEGMENTS = 200
	};
	struct operation operation;
	struct iovec list[SEGMENTS];
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);
	size_t piece = HEAD_BYTES / SEGMENTS, total = piece * SEGMENTS;
	struct iovec *page;

	operation_init(&operation, fixture);

	/* Many short sends, each of which ends in the middle of a segment. */
	for (size_t i = 0; i < SEGMENTS; i++)
		list[i] = (struct iovec){bytes + i * piece, piece};
	page = read_only_page(list, sizeof list);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, page, SEGMENTS), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), 1);
	run_reading(fixture, pair->peer, total, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, total);

	munmap(page, 4096);
	free(bytes);
}

BLOCKED_TEST(a06, a06_the_bytes_of_larger_records_are_not_copied, blocked_begin)
{
	struct operation behind;
	unsigned char *bytes = calloc(1, 1000);

	operation_init(&behind, fixture);

	/* Written after the start: what arrives is what the memory holds when its turn comes. */
	cr_assert_eq(start_send(blocked->pair.socket, &behind, bytes, 1000), 1);
	run_idle(fixture);
	pattern_fill(bytes, 1000, HEAD_BYTES);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + 1000, 0);
	run_until(fixture, fixture->pending == 0);

	free(bytes);
}

enum {
	SCATTERED = 1200
};

/* The record's number is its length: none, and more than are copied, among them. */
static size_t scattered_bytes(int record)
{
	return (size_t)(record * 37 % 300) * (record % 7 != 0);
}

/* Each on a half page of its own, all of them to be read only. */
static unsigned char *scattered_memory(void)
{
	size_t length = (size_t)SCATTERED * 2048, position = 0;
	unsigned char *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(memory, MAP_FAILED);
	for (int i = 0; i < SCATTERED; i++) {
		pattern_fill(memory + (size_t)i * 2048, scattered_bytes(i), position);
		position += scattered_bytes(i);
	}
	cr_assert_eq(mprotect(memory, length, PROT_READ), 0);
	return memory;
}

/* In batches of so many; the socket's buffers are small, so that many sends are short. */
static void send_scattered(struct fixture *fixture, struct pair *pair, int each)
{
	struct operation *operations = calloc(SCATTERED, sizeof *operations);
	unsigned char *memory = scattered_memory();
	size_t total = 0;

	for (int i = 0; i < SCATTERED; i++) {
		if (i % each == 0)
			cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
		operation_init(&operations[i], fixture);
		cr_assert_eq(start_send(pair->socket, &operations[i], memory + (size_t)i * 2048,
					scattered_bytes(i)),
			     1);
		total += scattered_bytes(i);
		if ((i + 1) % each == 0)
			cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	}
	run_reading(fixture, pair->peer, total, 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < SCATTERED; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, scattered_bytes(i));
	munmap(memory, (size_t)SCATTERED * 2048);
	free(operations);
}

PAIR_TEST(a06, a06_small_records_arrive_whole_and_are_never_written_to, tcp_pair, SMALL)
{
	static const int batches[] = {1, 2, 3, 32, 400, SCATTERED};
	size_t count = sizeof batches / sizeof *batches;

	for (size_t i = 0; i < count; i++)
		send_scattered(fixture, pair, batches[i]);
}
