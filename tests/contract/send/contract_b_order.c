/* SPDX-License-Identifier: MIT */
/* Sends leave whole and in the order in which they were started, and their handlers follow. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void assert_handled_in_order(const struct operation *operations, size_t count)
{
	for (size_t i = 1; i < count; i++)
		cr_assert_eq(operations[i].turn, operations[i - 1].turn + 1,
			     "the handler of %zu did not follow its predecessor's", i);
}

BLOCKED_TEST(b07, b07_2048_sends_of_one_byte_arrive_in_order, blocked_begin_unix)
{
	enum {
		SENDS = 2048
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(SENDS, HEAD_BYTES);

	operations = operations_new(fixture, SENDS);

	for (size_t i = 0; i < SENDS; i++)
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], bytes + i, 1), 1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + SENDS, 0);
	run_until(fixture, fixture->pending == 0);
	cr_assert_eq(blocked->head.turn, 1);
	assert_handled_in_order(operations, SENDS);

	free(operations);
	free(bytes);
}

BLOCKED_TEST(b07, b07_20_large_sends_and_their_handlers_are_in_order, blocked_begin)
{
	enum {
		SENDS = 20
	};
	const size_t length = 100003;
	struct operation *operations;
	unsigned char *bytes = pattern_new(SENDS * length, HEAD_BYTES);

	operations = operations_new(fixture, SENDS);

	for (size_t i = 0; i < SENDS; i++)
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], bytes + i * length,
					length),
			     1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + SENDS * length, 0);
	run_until(fixture, fixture->pending == 0);
	assert_handled_in_order(operations, SENDS);
	for (size_t i = 0; i < SENDS; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, length);

	free(operations);
	free(bytes);
}

/* Lists, buffers and packets of every small size, one behind the other. */
static int start_mixed(struct pair *pair, struct operation *operation, struct sluice_packet *packet,
		       unsigned char *base, size_t length, size_t kind)
{
	const struct iovec list[] = {segment(base, length / 2),
				     segment(base + length / 2, length - length / 2)};

	*packet = (struct sluice_packet){
		.kind = SLUICE_PACKET_MEMORY, .base = base, .count = (int64_t)length};
	switch (kind) {
	case 0:
		return start_send(pair->socket, operation, base, length);
	case 1:
		cr_assert_eq(sluice_args_set_buffer_list(&operation->args, list, 2), 0);
		return start(sluice_send_async, pair->socket, operation);
	default:
		cr_assert_eq(sluice_args_set_packets(&operation->args, packet, 1), 0);
		return start(sluice_send_packets_async, pair->socket, operation);
	}
}

BLOCKED_TEST(b07, b07_buffers_lists_and_packets_are_never_interleaved, blocked_begin)
{
	enum {
		SENDS = 300
	};
	struct operation *operations;
	struct sluice_packet packets[SENDS];
	unsigned char *bytes = pattern_new(SENDS * SENDS, HEAD_BYTES);
	size_t position = 0;

	operations = operations_new(fixture, SENDS);

	for (size_t i = 0; i < SENDS; position += i++)
		cr_assert_eq(start_mixed(&blocked->pair, &operations[i], &packets[i],
					 bytes + position, i, i % 3),
			     1);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + position, 0);
	run_until(fixture, fixture->pending == 0);
	assert_handled_in_order(operations, SENDS);
	for (size_t i = 0; i < SENDS; i++)
		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, i);

	free(operations);
	free(bytes);
}

PAIR_TEST(b07, b07_packets_of_memory_leave_before_the_send_that_follows_them, tcp_pair, SMALL)
{
	struct operation packets_send, send;
	struct sluice_packet packets[6];
	unsigned char bytes[7], *large = pattern_new(HEAD_BYTES, 7);

	operation_init(&packets_send, fixture);
	operation_init(&send, fixture);

	pattern_fill(bytes, sizeof bytes, 0);
	for (size_t i = 0; i < 6; i++)
		packets[i] = (struct sluice_packet){
			.kind = SLUICE_PACKET_MEMORY, .base = bytes + i, .count = 1};
	cr_assert_eq(sluice_args_set_packets(&packets_send.args, packets, 6), 0);
	start(sluice_send_packets_async, pair->socket, &packets_send);
	start_send(pair->socket, &send, bytes + 6, 1);
	run_until(fixture, fixture->pending == 0);
	read_pattern(pair->peer, 7, 0);

	/* And the send that waits is not overtaken by the packets behind it. */
	cr_assert_eq(start_send(pair->socket, &send, large, HEAD_BYTES), 1);
	cr_assert_eq(start(sluice_send_packets_async, pair->socket, &packets_send), 1);
	run_reading(fixture, pair->peer, HEAD_BYTES, 7);
	run_reading(fixture, pair->peer, 6, 0);
	run_until(fixture, fixture->pending == 0);
	cr_assert_lt(send.turn, packets_send.turn);

	free(large);
}

BLOCKED_TEST(b07, b07_an_eager_send_overtakes_nothing, blocked_begin)
{
	enum {
		SENDS = 64
	};
	struct operation *operations;
	unsigned char *bytes = pattern_new(SENDS, HEAD_BYTES);

	operations = operations_new(fixture, SENDS);

	/* The socket is writable again, but the head has not been notified. */
	read_pattern(blocked->pair.peer, SMALL / 2, 0);
	for (size_t i = 0; i < SENDS; i++) {
		operations[i].args.flags = i % 2 ? SLUICE_FLAG_EAGER : SLUICE_FLAG_BATCHED;
		cr_assert_eq(start_send(blocked->pair.socket, &operations[i], bytes + i, 1), 1);
	}
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES + SENDS - SMALL / 2, SMALL / 2);
	run_until(fixture, fixture->pending == 0);
	assert_handled_in_order(operations, SENDS);

	free(operations);
	free(bytes);
}

PAIR_TEST(b07, b07_an_eager_send_goes_behind_what_a_batch_has_queued, tcp_pair, 0)
{
	struct operation *operations;
	unsigned char bytes[30];

	operations = operations_new(fixture, sizeof bytes);

	pattern_fill(bytes, sizeof bytes, 0);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < sizeof bytes; i++) {
		operations[i].args.flags = i % 10 == 9 ? SLUICE_FLAG_EAGER : 0;
		start_send(pair->socket, &operations[i], bytes + i, 1);
	}
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	read_pattern(pair->peer, sizeof bytes, 0);
	run_until(fixture, fixture->pending == 0);

	free(operations);
}

PAIR_TEST(b07, b07_a_batched_send_is_pending_and_a_plain_one_goes_behind_it, tcp_pair, 0)
{
	struct operation batched, plain;

	operation_init(&batched, fixture);
	operation_init(&plain, fixture);

	batched.args.flags = SLUICE_FLAG_BATCHED;
	cr_assert_eq(start_send(pair->socket, &batched, "\0\1", 2), 1);
	start_send(pair->socket, &plain, "\2\3", 2);
	run_until(fixture, fixture->pending == 0);
	assert_ended(&batched, SLUICE_ERROR_SUCCESS, 2);
	assert_ended(&plain, SLUICE_ERROR_SUCCESS, 2);
	read_pattern(pair->peer, 4, 0);
}

#define BATCH 1000

static void batch_of_1000(struct fixture *fixture, struct pair *pair, const size_t piece)
{
	struct operation *operations = operations_new(fixture, BATCH);
	unsigned char *bytes = pattern_new(BATCH * piece, 0);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < BATCH; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], bytes + i * piece, piece), 1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	assert_nothing_to_read(pair->peer);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	cr_assert_eq(fixture->handled, 0);

	/* Nothing waits for a later call. */
	read_pattern(pair->peer, piece, 0);
	run_reading(fixture, pair->peer, (BATCH - 1) * piece, piece);
	run_until(fixture, fixture->pending == 0);
	assert_handled_in_order(operations, BATCH);
	free(operations);
	free(bytes);
}

PAIR_TEST(b07, b07_a_batch_of_1000_on_one_socket, tcp_pair, 0)
{
	batch_of_1000(fixture, pair, 64);
}

PAIR_TEST(b07, b07_a_batch_of_1000_that_does_not_fit, tcp_pair, SMALL)
{
	batch_of_1000(fixture, pair, 1777);
}

ENGINE_TEST(b07, b07_a_batch_over_many_sockets_and_a_run_inside_of_it)
{
	enum {
		PAIRS = 64
	};
	struct pair pairs[PAIRS];
	struct operation *operations;

	operations = operations_new(fixture, PAIRS);
	for (size_t i = 0; i < PAIRS; i++)
		tcp_pair(fixture, &pairs[i], 0);

	cr_assert_eq(sluice_batch_end(fixture->engine), -EINVAL);
	for (int round = 0; round < 2; round++) {
		cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
		for (size_t i = 0; i < PAIRS; i++)
			cr_assert_eq(start_send(pairs[i].socket, &operations[i], "\0\1\2", 3), 1);
		if (round)
			run_until(fixture, fixture->pending == 0);
		cr_assert_eq(sluice_batch_end(fixture->engine), 0);
		run_until(fixture, fixture->pending == 0);
		for (size_t i = 0; i < PAIRS; i++) {
			assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 3);
			read_pattern(pairs[i].peer, 3, 0);
		}
	}
	for (size_t i = 0; i < PAIRS; i++)
		pair_close(&pairs[i]);
	free(operations);
}

/* ---- sends that handlers start ---- */

struct chain {
	struct operation *operations;
	unsigned char *bytes;
	size_t started, count, piece;
};

/* Each handler starts two more, on the socket that it was called for. */
static void start_two_more(struct operation *operation)
{
	struct chain *chain = operation->token;

	for (int i = 0; i < 2 && chain->started < chain->count; i++) {
		size_t next = chain->started++;

		cr_assert_eq(start_send(operation->socket, &chain->operations[next],
					chain->bytes + next * chain->piece, chain->piece),
			     1);
	}
}

static void run_chain(struct fixture *fixture, struct pair *pair, struct chain *chain)
{
	chain->operations = operations_new(fixture, chain->count);
	chain->bytes = pattern_new(chain->count * chain->piece, 0);
	for (size_t i = 0; i < chain->count; i++) {
		chain->operations[i].then = start_two_more;
		chain->operations[i].token = chain;
	}
	chain->operations[0].args.flags = SLUICE_FLAG_BATCHED;
	chain->started = 1;
	cr_assert_eq(start_send(pair->socket, &chain->operations[0], chain->bytes, chain->piece),
		     1);
	run_reading(fixture, pair->peer, chain->count * chain->piece, 0);
	run_until(fixture, fixture->pending == 0);
	assert_handled_in_order(chain->operations, chain->count);
	free(chain->operations);
	free(chain->bytes);
}

PAIR_TEST(b07, b07_sends_started_by_handlers_keep_their_order, tcp_pair, 0)
{
	struct chain small = {.count = 3000, .piece = 3}, large = {.count = 300, .piece = 50021};

	run_chain(fixture, pair, &small);
	pair_close(pair);
	tcp_pair(fixture, pair, SMALL);
	run_chain(fixture, pair, &large);
}

/* ---- b11 ---- */

static void scribble(struct operation *operation)
{
	memset(operation->token, 0xff, HEAD_BYTES);
}

Test(b11, b11_after_the_end_the_buffer_is_the_caller_s)
{
	struct fixture fixture;
	struct blocked blocked;

	fixture_begin(&fixture);
	blocked_begin(&fixture, &blocked);
	blocked.head.then = scribble;
	blocked.head.token = blocked.bytes;

	/* The last bytes are still in the kernel when the handler overwrites them. */
	run_reading(&fixture, blocked.pair.peer, HEAD_BYTES, 0);
	run_until(&fixture, is_over(&blocked.head));
	assert_ended(&blocked.head, SLUICE_ERROR_SUCCESS, HEAD_BYTES);

	blocked_end(&blocked);
	fixture_end(&fixture);
}

PAIR_TEST(b11, b11_after_a_send_done_at_once_too, tcp_pair, 0)
{
	struct operation operation;
	unsigned char bytes[1000];

	operation_init(&operation, fixture);

	for (uint64_t i = 0; i < 10; i++) {
		pattern_fill(bytes, sizeof bytes, i * sizeof bytes);
		cr_assert_eq(start_send(pair->socket, &operation, bytes, sizeof bytes), 0);
		memset(bytes, 0xff, sizeof bytes);
	}
	read_pattern(pair->peer, 10 * sizeof bytes, 0);
}

PAIR_TEST(b11, b11_success_does_not_say_that_the_peer_has_the_bytes, tcp_pair, 0)
{
	struct operation first, second;

	operation_init(&first, fixture);
	operation_init(&second, fixture);

	cr_assert_eq(start_send(pair->socket, &first, "12345", 5), 0);
	close_with_reset(pair->peer);
	pair->peer = -1;
	run_send(pair->socket, &second, "6", 1);
	assert_ended(&first, SLUICE_ERROR_SUCCESS, 5);
	assert_ended(&second, SLUICE_ERROR_CONNECTION_RESET, 0);
}
