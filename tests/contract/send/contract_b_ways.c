/* SPDX-License-Identifier: MIT */
/* The same promises by every way that the options choose, and with the least of everything. */
#include "support.h"

#include <stdlib.h>

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
 * By zero copy even a segment of a few bytes costs a page of the buffers, at both ends: these have
 * larger ones, and longer segments. What the kernel still sends from is not given back early, so
 * nothing can be given up here before the peer reads.
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
	unsigned char *bytes;
	size_t length;
	struct iovec lists[SENDS][3];
};

static void stream_begin(struct fixture *fixture, struct stream *stream)
{
	tcp_pair(fixture, &stream->pair, buffers);
	stream->operations = operations_new(fixture, SENDS);
	stream->length = 0;
	for (size_t i = 0; i < SENDS; i++)
		stream->length += length_of(i);
	stream->bytes = pattern_new(stream->length, 0);
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
	free(stream->bytes);
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

/* Successes, then the one that tells the reset, then Shutdown, and none of them twice. */
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
