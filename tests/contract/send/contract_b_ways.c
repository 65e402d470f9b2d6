/* SPDX-License-Identifier: MIT */
/* The same promises by every way that the options choose, and with the least of everything. */
#include "measure.h"

#include <stdlib.h>
#include <string.h>

/* What ways cost is measured once in a process. */
CASES_ALONE

static const struct way {
	const char *name;
	uint32_t transmit_way;
	uint32_t ring_entries;
	uint32_t handler_budget;
	uint64_t gather_bytes;
	uint32_t submission_thread;
} ways[] = {
	{"inline", SLUICE_TRANSMIT_WAY_INLINE, 512, 4096, 1048576, 0},
	{"ring", SLUICE_TRANSMIT_WAY_RING, 512, 4096, 1048576, 0},
	{"ring, two entries", SLUICE_TRANSMIT_WAY_RING, 2, 4096, 1048576, 0},
	{"ring, gathers little", SLUICE_TRANSMIT_WAY_RING, 512, 4096, 5000, 0},
	{"one handler a turn", SLUICE_TRANSMIT_WAY_AUTO, 512, 1, 1048576, 0},
	{"any number of handlers", SLUICE_TRANSMIT_WAY_AUTO, 512, 0, 1048576, 0},
	{"gathers next to nothing", SLUICE_TRANSMIT_WAY_AUTO, 512, 4096, 700, 0},
	{"the least of everything", SLUICE_TRANSMIT_WAY_RING, 1, 1, 700, 0},
	{"thread", SLUICE_TRANSMIT_WAY_AUTO, 512, 4096, 1048576, 1},
	{"thread, inline", SLUICE_TRANSMIT_WAY_INLINE, 512, 4096, 1048576, 1},
	{"thread, one entry", SLUICE_TRANSMIT_WAY_AUTO, 1, 4096, 5000, 1},
	{"thread, the least of everything", SLUICE_TRANSMIT_WAY_RING, 1, 1, 700, 1},
};
#define WAYS (sizeof ways / sizeof *ways)

/*
 * With zero copy even a segment of a few bytes occupies a page of the buffers on both sides: these
 * have larger buffers and longer segments. The kernel does not release early what it still sends
 * from, so nothing can be cancelled here before the peer reads.
 */
static const struct way zerocopy_ways[] = {
	{"zero copy", SLUICE_TRANSMIT_WAY_ZEROCOPY, 512, 4096, 1048576, 0},
	{"zero copy, two entries", SLUICE_TRANSMIT_WAY_ZEROCOPY, 2, 4096, 1048576, 0},
	{"zero copy, one handler a turn", SLUICE_TRANSMIT_WAY_ZEROCOPY, 512, 1, 5000, 0},
	{"zero copy, thread", SLUICE_TRANSMIT_WAY_ZEROCOPY, 512, 4096, 1048576, 1},
};
#define ZEROCOPY_WAYS (sizeof zerocopy_ways / sizeof *zerocopy_ways)

static int buffers;
static size_t scale = 1;

static void begin_by(struct fixture *fixture, const struct way *way)
{
	struct sluice_options options;

	cr_log_info("%s", way->name);
	buffers = way->transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY ? 0 : SMALL;
	scale = way->transmit_way == SLUICE_TRANSMIT_WAY_ZEROCOPY ? 10 : 1;
	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.transmit_way = way->transmit_way;
	options.ring_entries = way->ring_entries;
	options.handler_budget = way->handler_budget;
	options.gather_bytes = way->gather_bytes;
	options.submission_thread = way->submission_thread;
	fixture_begin_with(fixture, &options);
}

#define PAIRS 3
#define SENDS ((size_t)300)

/* From nothing to several times what the small buffers hold. */
static size_t length_of(size_t number)
{
	return scale * (number % 61 == 60 ? 70001 : number * 37 % 1009);
}

struct stream {
	struct pair pair;
	struct operation *operations;
	unsigned char *bytes; /* the same of all streams */
	size_t length;
	struct iovec lists[SENDS][3];
};

/* New memory for each stream would take more time than what is tested. */
static unsigned char *bytes_of_streams(size_t length)
{
	static unsigned char *bytes;
	static size_t held;

	if (held < length) {
		free(bytes);
		bytes = pattern_new(length, 0);
		held = length;
	}
	return bytes;
}

static void stream_begin(struct fixture *fixture, struct stream *stream)
{
	tcp_pair(fixture, &stream->pair, buffers);
	stream->operations = operations_new(fixture, SENDS);
	stream->length = 0;
	for (size_t i = 0; i < SENDS; i++)
		stream->length += length_of(i);
	stream->bytes = bytes_of_streams(stream->length);
}

/* Every third is a list that is too long for the record. */
static void stream_start(struct stream *stream)
{
	unsigned char *base = stream->bytes;

	for (size_t i = 0; i < SENDS; base += length_of(i++)) {
		struct operation *operation = &stream->operations[i];
		size_t length = length_of(i), part = length / 3;

		if (i % 3) {
			start_send(stream->pair.socket, operation, base, length);
			continue;
		}
		stream->lists[i][0] = segment(base, part);
		stream->lists[i][1] = segment(base + part, part);
		stream->lists[i][2] = segment(base + 2 * part, length - 2 * part);
		cr_assert_eq(sluice_args_set_buffer_list(&operation->args, stream->lists[i], 3), 0);
		cr_assert_geq(start(sluice_send_async, stream->pair.socket, operation), 0);
	}
}

static void stream_end(struct stream *stream)
{
	pair_close(&stream->pair);
	free(stream->operations);
}

static void send_on_several_streams(struct fixture *fixture)
{
	static struct stream streams[PAIRS];

	for (int i = 0; i < PAIRS; i++)
		stream_begin(fixture, &streams[i]);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (int i = 0; i < PAIRS; i++)
		stream_start(&streams[i]);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	for (int i = PAIRS; i--;)
		run_reading(fixture, streams[i].pair.peer, streams[i].length, 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < PAIRS; i++) {
		for (size_t j = 0; j < SENDS; j++) {
			const struct operation *operation = &streams[i].operations[j];

			assert_ended(operation, SLUICE_ERROR_SUCCESS, length_of(j));
			cr_assert(j == 0 || operation->turn > operation[-1].turn);
		}
		stream_end(&streams[i]);
	}
}

Test(b07, b07_sends_arrive_whole_and_in_order_by_every_way)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct fixture fixture;

		begin_by(&fixture, &ways[i]);
		send_on_several_streams(&fixture);
		fixture_end(&fixture);
	}
}

Test(b07, b07_sends_arrive_whole_and_in_order_by_zero_copy)
{
	for (size_t i = 0; i < ZEROCOPY_WAYS; i++) {
		struct fixture fixture;

		begin_by(&fixture, &zerocopy_ways[i]);
		send_on_several_streams(&fixture);
		fixture_end(&fixture);
	}
}

/* Successes, then the one that reports the reset, then Shutdown, and none of them twice. */
static void break_a_stream(struct fixture *fixture)
{
	static struct stream stream;
	size_t i = 0;

	stream_begin(fixture, &stream);
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	stream_start(&stream);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_reading(fixture, stream.pair.peer, 50000, 0);
	close_with_reset(stream.pair.peer);
	stream.pair.peer = -1;
	run_until(fixture, fixture->pending == 0);
	while (stream.operations[i].args.error == SLUICE_ERROR_SUCCESS && i < SENDS - 1)
		i++;
	cr_assert_gt(i, 0);
	cr_assert_eq(stream.operations[i].args.error, SLUICE_ERROR_CONNECTION_RESET);
	for (i++; i < SENDS; i++)
		assert_ended(&stream.operations[i], SLUICE_ERROR_SHUTDOWN, 0);
	stream_end(&stream);
}

Test(b12, b12_a_reset_is_told_once_by_every_way)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct fixture fixture;

		begin_by(&fixture, &ways[i]);
		for (int round = 0; round < 5; round++)
			break_a_stream(&fixture);
		fixture_end(&fixture);
	}
}

/* All that can be aborted is, whatever of it the kernel holds. */
static void give_up_a_stream(struct fixture *fixture, bool cancel)
{
	static struct stream stream;
	uint64_t taken = 0;
	bool aborted = false;
	int error;

	stream_begin(fixture, &stream);
	stream_start(&stream);
	run_reading(fixture, stream.pair.peer, 50000, 0);
	if (cancel)
		cr_assert_eq(sluice_socket_cancel_all(stream.pair.socket), 0);
	else
		cr_assert_eq(sluice_socket_shutdown(stream.pair.socket, SHUT_WR), 0);
	run_until(fixture, fixture->pending == 0);
	for (size_t i = 0; i < SENDS; i++) {
		const struct sluice_args *args = &stream.operations[i].args;

		cr_assert(!aborted || args->bytes_transferred == 0);
		aborted |= args->error != SLUICE_ERROR_SUCCESS;
		taken += args->bytes_transferred;
	}
	cr_assert(aborted);
	cr_assert_eq(sluice_socket_close(stream.pair.socket), 0);
	cr_assert_eq(50000 + run_reading_to_end(fixture, stream.pair.peer, 50000, &error), taken);
	cr_assert_eq(error, 0);
	stream_end(&stream);
}

Test(e02, e02_what_cancelled_records_say_they_sent_is_what_arrives_by_every_way)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct fixture fixture;

		begin_by(&fixture, &ways[i]);
		give_up_a_stream(&fixture, true);
		fixture_end(&fixture);
	}
}

Test(e04, e04_what_records_that_were_shut_down_say_they_sent_is_what_arrives_by_every_way)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct fixture fixture;

		begin_by(&fixture, &ways[i]);
		give_up_a_stream(&fixture, false);
		fixture_end(&fixture);
	}
}

/* ---- b17: the choice ---- */

#define MANY 64

static bool is_ring(const struct fixture *fixture)
{
	return strcmp(sluice_engine_backend(fixture->engine), "uring") == 0;
}

/* One record for each of so many sockets, in one batch. */
static void send_to_each(struct fixture *fixture, struct pair *pairs, int sockets)
{
	struct operation *operations = operations_new(fixture, (size_t)sockets);

	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (int i = 0; i < sockets; i++)
		start_send(pairs[i].socket, &operations[i], "hello", 5);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
	for (int i = 0; i < sockets; i++) {
		char got[8];

		assert_ended(&operations[i], SLUICE_ERROR_SUCCESS, 5);
		cr_assert_eq(recv(pairs[i].peer, got, sizeof got, 0), 5);
	}
	free(operations);
}

static void pairs_begin(struct fixture *fixture, struct pair *pairs)
{
	for (int i = 0; i < MANY; i++)
		tcp_pair(fixture, &pairs[i], 0);
}

static void pairs_end(struct pair *pairs)
{
	for (int i = 0; i < MANY; i++)
		pair_close(&pairs[i]);
}

static bool is_cheaper_by_ring(const struct sluice_engine_statistics *statistics, int sockets)
{
	uint64_t enter = statistics->enter_ns > statistics->call_ns ? statistics->enter_ns
								    : statistics->call_ns;

	return enter + 2 * (uint64_t)sockets * statistics->entry_ns <
	       (uint64_t)sockets * statistics->call_ns;
}

Test(b17, b17_a_turn_takes_the_way_that_the_measured_costs_say)
{
	static const int numbers[] = {1, 2, 3, 4, 8, 16, MANY};
	static struct pair pairs[MANY];
	struct sluice_options options;
	struct fixture fixture;

	if (getenv("SLUICE_TEST_FLIP_WAY"))
		cr_skip("the way changes whatever the costs are");
	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	fixture_begin_with(&fixture, &options);
	pairs_begin(&fixture, pairs);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		struct sluice_engine_statistics before = statistics_of(&fixture), after;
		bool by_ring = is_ring(&fixture) && is_cheaper_by_ring(&before, numbers[i]);

		send_to_each(&fixture, pairs, numbers[i]);
		after = statistics_of(&fixture);
		cr_assert_eq(after.ring_sends - before.ring_sends,
			     by_ring ? (uint64_t)numbers[i] : 0);
		cr_assert_eq(after.inline_sends - before.inline_sends,
			     by_ring ? 0 : (uint64_t)numbers[i]);
		cr_assert_eq(after.turns_by_ring - before.turns_by_ring, by_ring);
		cr_assert_eq(after.turns_inline - before.turns_inline, !by_ring);
	}
	pairs_end(pairs);
	fixture_end(&fixture);
}

Test(b17, b17_the_costs_are_measured_once_for_all_engines_of_a_process)
{
	struct sluice_engine_statistics first, second;
	struct fixture fixture;

	begin_by(&fixture, &(struct way){"", SLUICE_TRANSMIT_WAY_AUTO, 512, 4096, 1 << 20, 0});
	run_for(&fixture, 0);
	first = statistics_of(&fixture);
	if (is_ring(&fixture)) {
		cr_assert_gt(first.call_ns, 0);
		cr_assert_gt(first.enter_ns, 0);
		cr_assert_gt(first.entry_ns, 0);
	} else {
		cr_assert_eq(first.call_ns + first.enter_ns + first.entry_ns, 0);
	}
	fixture_end(&fixture);
	/* Of a few entries, with which nothing can be measured. */
	begin_by(&fixture, &(struct way){"", SLUICE_TRANSMIT_WAY_AUTO, 2, 4096, 1 << 20, 0});
	run_for(&fixture, 0);
	second = statistics_of(&fixture);
	cr_assert_eq(second.call_ns, first.call_ns);
	cr_assert_eq(second.enter_ns, first.enter_ns);
	cr_assert_eq(second.entry_ns, first.entry_ns);
	fixture_end(&fixture);
}

static void send_by(uint32_t transmit_way, int sockets, bool by_ring)
{
	static struct pair pairs[MANY];
	struct sluice_engine_statistics statistics;
	struct fixture fixture;

	begin_by(&fixture, &(struct way){"", transmit_way, 512, 4096, 1 << 20, 0});
	pairs_begin(&fixture, pairs);
	send_to_each(&fixture, pairs, sockets);
	statistics = statistics_of(&fixture);
	by_ring &= is_ring(&fixture);
	cr_assert_eq(statistics.ring_sends, by_ring ? (uint64_t)sockets : 0);
	cr_assert_eq(statistics.inline_sends, by_ring ? 0 : (uint64_t)sockets);
	pairs_end(pairs);
	fixture_end(&fixture);
}

Test(b17, b17_a_way_can_be_forced)
{
	send_by(SLUICE_TRANSMIT_WAY_INLINE, 1, false);
	send_by(SLUICE_TRANSMIT_WAY_INLINE, MANY, false);
	send_by(SLUICE_TRANSMIT_WAY_RING, 1, true);
	send_by(SLUICE_TRANSMIT_WAY_RING, MANY, true);
}
