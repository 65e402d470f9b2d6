/* SPDX-License-Identifier: MIT */
/* Streams: every byte or an error, in whatever pieces, lists and sizes; and PARTIAL. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- b05 ---- */

PAIR_TEST(b05, b05_success_means_every_byte_was_taken, tcp_pair, SMALL)
{
	const size_t length = 16 * 1048576 + 7;
	struct reader reader;
	struct operation operation;
	void *bytes = pattern_new(length, 0);

	operation_init(&operation, fixture);

	cr_assert_eq(start_send(pair->socket, &operation, bytes, length), 1);
	reader_start(&reader, pair->peer, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run_idle(fixture);
	reader_join(&reader);
	cr_assert_eq(reader.error, 0);
	cr_assert_eq(reader.bytes, length);

	free(bytes);
}

PAIR_TEST(b05, b05_five_buffers_of_12_million_bytes_at_a_slow_reader_in_one_send, tcp_pair, 0)
{
	enum {
		SEGMENTS = 5
	};
	const size_t each = 12345678, length = SEGMENTS * each;
	struct reader reader;
	struct operation operation;
	struct iovec list[SEGMENTS];
	/* All segments lie in this memory: each begins where the pattern goes on. */
	unsigned char *bytes = pattern_new(each + PATTERN_PERIOD, 0);

	operation_init(&operation, fixture);

	for (size_t i = 0; i < SEGMENTS; i++)
		list[i] = segment(bytes + i * each % PATTERN_PERIOD, each);
	cr_assert_eq(sluice_args_set_buffer_list(&operation.args, list, SEGMENTS), 0);
	cr_assert_eq(start(sluice_send_async, pair->socket, &operation), 1);
	reader_start_slow(&reader, pair->peer, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	cr_assert_eq(sluice_socket_close(pair->socket), 0);
	run_idle(fixture);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, length);

	free(bytes);
}

PAIR_TEST(b05, b05_a_send_buffer_size_of_0, tcp_pair, 0)
{
	const size_t length = 10000;
	struct operation operation;
	void *bytes = pattern_new(length, 0);

	operation_init(&operation, fixture);

	cr_assert_eq(setsockopt(sluice_socket_fd(pair->socket), SOL_SOCKET, SO_SNDBUF, &(int){0},
				sizeof(int)),
		     0);
	start_send(pair->socket, &operation, bytes, length);
	run_reading(fixture, pair->peer, length, 0);
	run_until(fixture, is_over(&operation));
	assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);

	free(bytes);
}

/* .NET's SendRecv cases: so many bytes, in pieces, one send after the other. */
#define STREAM_BYTES ((size_t)123456)
#define PIECE ((size_t)512)

static int start_single(struct pair *pair, struct operation *operation, unsigned char *base,
			size_t length)
{
	return start_send(pair->socket, operation, base, length);
}

/* The same piece as a list: an empty segment between two uneven ones. */
static int start_list(struct pair *pair, struct operation *operation, unsigned char *base,
		      size_t length)
{
	const struct iovec list[] = {
		segment(base, length / 3),
		segment(base, 0),
		segment(base + length / 3, length - length / 3),
	};

	cr_assert_eq(sluice_args_set_buffer_list(&operation->args, list, 3), 0);
	return start(sluice_send_async, pair->socket, operation);
}

static void send_in_pieces(int (*start_piece)(struct pair *, struct operation *, unsigned char *,
					      size_t))
{
	struct fixture fixture;
	struct pair pair;
	struct reader reader;
	struct operation operation;
	unsigned char *bytes = pattern_new(STREAM_BYTES, 0);

	fixture_begin(&fixture);
	tcp_pair(&fixture, &pair, 0);
	operation_init(&operation, &fixture);

	reader_start(&reader, pair.peer, 0);
	for (size_t done = 0; done < STREAM_BYTES; done += operation.args.bytes_transferred) {
		size_t left = STREAM_BYTES - done, length = left < PIECE ? left : PIECE;

		if (start_piece(&pair, &operation, bytes + done, length) == 1)
			run_until(&fixture, is_over(&operation));
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, length);
	}
	cr_assert_eq(sluice_socket_close(pair.socket), 0);
	run_idle(&fixture);
	reader_join(&reader);
	cr_assert_eq(reader.bytes, STREAM_BYTES);

	pair_close(&pair);
	free(bytes);
	fixture_end(&fixture);
}

Test(b05, b05_123456_bytes_in_sends_of_512)
{
	send_in_pieces(start_single);
}

Test(b05, b05_123456_bytes_in_lists_of_512_with_an_empty_segment)
{
	send_in_pieces(start_list);
}

/* Sends of these sizes, all started before any of them is waited for. */
static void send_without_waiting(struct fixture *fixture, struct pair *pair, const size_t *lengths,
				 size_t count)
{
	struct operation *operations = operations_new(fixture, count);
	size_t total = 0, position = 0;
	unsigned char *bytes;

	for (size_t i = 0; i < count; i++)
		total += lengths[i];
	bytes = pattern_new(total, 0);
	for (size_t i = 0; i < count; position += lengths[i++])
		start_send(pair->socket, &operations[i], bytes + position, lengths[i]);
	run_reading(fixture, pair->peer, total, 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < count; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, lengths[i]);
	assert_nothing_to_read(pair->peer);
	free(operations);
	free(bytes);
}

PAIR_TEST(b05, b05_three_sends_of_2_and_2_and_1_megabytes_started_without_waiting, tcp_pair, 0)
{
	static const size_t lengths[] = {2000000, 2000000, 1000000};

	send_without_waiting(fixture, pair, lengths, 3);
	pair_close(pair);
	tcp_pair(fixture, pair, SMALL);
	send_without_waiting(fixture, pair, lengths, 3);
}

ENGINE_TEST(b05, b05_unix_stream_from_5000_sends_of_1_byte_to_5_of_128000)
{
	static const struct {
		size_t count, length;
	} cases[] = {{5000, 1}, {500, 18}, {500, 21}, {500, 1000}, {5, 128000}};
	struct pair pair;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t *lengths = malloc(cases[i].count * sizeof *lengths);

		for (size_t j = 0; j < cases[i].count; j++)
			lengths[j] = cases[i].length;
		unix_pair(fixture, &pair, SOCK_STREAM);
		send_without_waiting(fixture, &pair, lengths, cases[i].count);
		pair_close(&pair);
		free(lengths);
	}
}

ENGINE_TEST(b05, b05_many_streams_at_once)
{
	enum {
		PAIRS = 20
	};
	struct pair pairs[PAIRS];
	struct operation *operations;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);

	operations = operations_new(fixture, PAIRS);
	for (size_t i = 0; i < PAIRS; i++) {
		tcp_pair(fixture, &pairs[i], SMALL);
		cr_assert_eq(start_send(pairs[i].socket, &operations[i], bytes, HEAD_BYTES), 1);
	}
	for (size_t i = PAIRS; i--;) {
		run_reading(fixture, pairs[i].peer, HEAD_BYTES, 0);
		run_until(fixture, is_over(&operations[i]));
		cr_assert_eq(fixture->pending, i, "one stream waits for another");
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, HEAD_BYTES);
	}
	for (size_t i = 0; i < PAIRS; i++)
		pair_close(&pairs[i]);
	free(operations);
	free(bytes);
}

/* ---- b06 ---- */

/* Calls again and again with what is left, as the loops around send(2) do. */
static size_t send_partially(struct fixture *fixture, struct pair *pair,
			     struct operation *operation, unsigned char *bytes, size_t length)
{
	unsigned char *drain = malloc(length);
	size_t done = 0, partial = 0, seen = 0;

	while (done < length) {
		const struct iovec list[] = {segment(bytes + done, (length - done) / 2),
					     segment(bytes + done + (length - done) / 2,
						     length - done - (length - done) / 2)};

		cr_assert_eq(sluice_args_set_buffer_list(&operation->args, list, 2), 0);
		operation->args.flags = SLUICE_FLAG_PARTIAL;
		if (start(sluice_send_async, pair->socket, operation) == 1) {
			ssize_t count = recv(pair->peer, drain + seen, length - seen, MSG_DONTWAIT);

			seen += count > 0 ? (size_t)count : 0;
			run_until(fixture, is_over(operation));
		}
		cr_assert_eq(operation->args.error, SLUICE_ERROR_SUCCESS);
		cr_assert_gt(operation->args.bytes_transferred, 0);
		partial += operation->args.bytes_transferred < length - done;
		done += operation->args.bytes_transferred;
	}
	cr_assert_eq(done, length);
	read_exactly(pair->peer, drain + seen, length - seen);
	cr_assert(pattern_matches(drain, length, 0));
	free(drain);
	return partial;
}

PAIR_TEST(b06, b06_partial_completes_with_the_first_bytes, tcp_pair, SMALL)
{
	struct operation operation;
	unsigned char *bytes = pattern_new(HEAD_BYTES, 0);

	operation_init(&operation, fixture);

	cr_assert_eq(sluice_args_set_buffer(&operation.args, bytes, HEAD_BYTES, 0, HEAD_BYTES), 0);
	operation.args.flags = SLUICE_FLAG_PARTIAL;
	run_start(sluice_send_async, pair->socket, &operation);
	cr_assert_eq(operation.args.error, SLUICE_ERROR_SUCCESS);
	cr_assert_gt(operation.args.bytes_transferred, 0);
	cr_assert_lt(operation.args.bytes_transferred, HEAD_BYTES);
	read_pattern(pair->peer, operation.args.bytes_transferred, 0);
	assert_nothing_to_read(pair->peer);

	free(bytes);
}

PAIR_TEST(b06, b06_calling_again_sends_the_rest, unix_pair, SOCK_STREAM)
{
	const size_t length = 600000;
	struct operation operation;
	unsigned char *bytes = pattern_new(length, 0);

	operation_init(&operation, fixture);
	cr_assert_eq(setsockopt(pair->peer, SOL_SOCKET, SO_RCVBUF, &(int){SMALL}, sizeof(int)), 0);
	cr_assert_gt(send_partially(fixture, pair, &operation, bytes, length), 0);
	free(bytes);
}

BLOCKED_TEST(b06, b06_partial_waits_for_its_turn_and_never_for_more_than_one_byte, blocked_begin)
{
	struct operation partial, behind;
	unsigned char *bytes = pattern_new(HEAD_BYTES, HEAD_BYTES);
	uint64_t taken;

	operation_init(&partial, fixture);
	operation_init(&behind, fixture);

	partial.args.flags = SLUICE_FLAG_PARTIAL;
	cr_assert_eq(start_send(blocked->pair.socket, &partial, bytes, HEAD_BYTES), 1);
	run_idle(fixture);
	cr_assert(!is_over(&partial), "it did not wait for its turn");
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(partial.args.error, SLUICE_ERROR_SUCCESS);
	taken = partial.args.bytes_transferred;
	cr_assert_gt(taken, 0);
	cr_assert_lt(taken, HEAD_BYTES);

	/* What follows begins right behind the bytes that were taken. */
	start_send(blocked->pair.socket, &behind, bytes + taken, HEAD_BYTES - taken);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, HEAD_BYTES);
	run_until(fixture, is_over(&behind));
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, HEAD_BYTES - taken);

	free(bytes);
}

/*
 * The kernel's notification that the socket is writable is not waited for; the next send must not
 * wait for it again.
 */
PAIR_TEST(b06, b06_a_send_behind_a_partial_that_filled_the_buffer_leaves, tcp_pair, SMALL)
{
	struct operation first, next;
	void *bytes = pattern_new(2 * HEAD_BYTES, 0);
	uint64_t taken;

	operation_init(&first, fixture);
	operation_init(&next, fixture);

	/* Epoll watches a socket from the first time that it has to wait. */
	cr_assert_eq(start_send(pair->socket, &first, bytes, HEAD_BYTES), 1);
	run_reading(fixture, pair->peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&first));
	first.args.flags = SLUICE_FLAG_PARTIAL | SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &first, (char *)bytes + HEAD_BYTES, HEAD_BYTES), 1);
	run_until(fixture, is_over(&first));
	taken = first.args.bytes_transferred;
	cr_assert_lt(taken, HEAD_BYTES);

	read_pattern(pair->peer, taken, HEAD_BYTES);
	run_idle(fixture);
	next.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &next, bytes, 1), 1);
	run_until(fixture, is_over(&next));
	assert_ended(&next, SLUICE_ERROR_SUCCESS, 1);
	read_pattern(pair->peer, 1, 0);

	free(bytes);
}

PAIR_TEST(b06, b06_a_partial_that_fits_is_whole_and_holds_nobody_up, tcp_pair, 0)
{
	struct operation *operations;
	unsigned char bytes[10];

	operations = operations_new(fixture, 10);

	pattern_fill(bytes, sizeof bytes, 0);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < 10; i++) {
		operations[i].args.flags = i % 3 ? 0 : SLUICE_FLAG_PARTIAL;
		cr_assert_eq(start_send(pair->socket, &operations[i], bytes + i, 1), 1);
	}
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < 10; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 1);
	read_pattern(pair->peer, 10, 0);

	free(operations);
}

/* ---- b10, streams ---- */

ENGINE_TEST(b10, b10_a_zero_length_send_on_a_stream_succeeds_with_0_bytes)
{
	struct pair pairs[2];
	struct operation operation;

	tcp_pair(fixture, &pairs[0], 0);
	unix_pair(fixture, &pairs[1], SOCK_STREAM);
	operation_init(&operation, fixture);

	for (int i = 0; i < 2; i++) {
		run_send(pairs[i].socket, &operation, "x", 0);
		assert_ended(&operation, SLUICE_ERROR_SUCCESS, 0);
		run_idle(fixture);
		assert_nothing_to_read(pairs[i].peer);
		pair_close(&pairs[i]);
	}
}

BLOCKED_TEST(b10, b10_a_zero_length_send_waits_for_its_turn, blocked_begin)
{
	struct operation empty, behind;
	void *bytes = pattern_new(1000, HEAD_BYTES);

	operation_init(&empty, fixture);
	operation_init(&behind, fixture);

	cr_assert_eq(start_send(blocked->pair.socket, &empty, bytes, 0), 1);
	cr_assert_eq(start_send(blocked->pair.socket, &behind, bytes, 1000), 1);
	run_idle(fixture);
	cr_assert(!is_over(&empty));
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + 1000, 0);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&empty, SLUICE_ERROR_SUCCESS, 0);
	assert_ended(&behind, SLUICE_ERROR_SUCCESS, 1000);
	cr_assert(blocked->head.turn < empty.turn && empty.turn < behind.turn);

	free(bytes);
}
