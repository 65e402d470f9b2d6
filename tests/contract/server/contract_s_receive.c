/* SPDX-License-Identifier: MIT */
/* s01, s02: receive_start delivers every byte in order, in buffers that are lent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "streams.h"

/* A peer that sends the pattern in a thread, in pieces of odd sizes, and then closes. */
struct writer {
	pthread_t thread;
	int fd;
	size_t length;
	size_t piece; /* the largest */
	int error;
};

static void *writer_main(void *token)
{
	struct writer *writer = token;
	char *bytes = malloc(writer->piece);
	size_t done = 0, size = 1;

	while (done < writer->length && !writer->error) {
		ssize_t count;

		size = size * 7 % writer->piece + 1;
		if (size > writer->length - done)
			size = writer->length - done;
		pattern_fill(bytes, size, done);
		count = send(writer->fd, bytes, size, MSG_NOSIGNAL);
		if (count < 0)
			writer->error = errno;
		else
			done += (size_t)count;
	}
	shutdown(writer->fd, SHUT_WR);
	free(bytes);
	return NULL;
}

static void writer_start(struct writer *writer, int fd, size_t length, size_t piece)
{
	*writer = (struct writer){.fd = fd, .length = length, .piece = piece};
	cr_assert_eq(pthread_create(&writer->thread, NULL, writer_main, writer), 0);
}

static void writer_join(struct writer *writer)
{
	cr_assert_eq(pthread_join(writer->thread, NULL), 0);
	cr_assert_eq(writer->error, 0, "%s", strerror(writer->error));
}

/* ---- s01 ---- */

static void assert_flows(struct flow *flow, size_t length, size_t piece)
{
	struct writer writer;

	writer_start(&writer, flow->pair.peer, length, piece);
	cr_assert_eq(start_consuming(&flow->consumer), 0);
	run_until(&flow->fixture, flow->consumer.terminals > 0);
	writer_join(&writer);
	assert_terminal(&flow->consumer, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(flow->consumer.bytes, length);
	cr_assert_eq(statistics_of(&flow->fixture).bytes_received, length);
}

FLOW_TEST(s01, s01_every_byte_is_delivered_in_order, flow_begin)
{
	assert_flows(flow, (size_t)32 << 20, 100003);
}

FLOW_TEST(s01, s01_small_pieces_are_delivered_in_order, flow_begin)
{
	assert_flows(flow, 30000, 5);
}

Test(s01, s01_every_byte_of_a_unix_stream_is_delivered_in_order)
{
	struct flow flow;

	fixture_begin(&flow.fixture);
	unix_pair(&flow.fixture, &flow.pair, SOCK_STREAM);
	consumer_init(&flow.consumer, &flow.fixture, flow.pair.socket);
	assert_flows(&flow, (size_t)8 << 20, 70001);
	flow_end(&flow);
}

FLOW_TEST(s01, s01_few_and_small_buffers_are_enough, flow_begin_few, 2, 100, 1)
{
	assert_flows(flow, 200000, 1009);
}

FLOW_TEST(s01, s01_what_came_before_the_start_is_delivered, flow_begin)
{
	size_t length;

	length = write_what_fits(flow->pair.peer, 50000, 0);
	run_idle(&flow->fixture);
	cr_assert_eq(start_consuming(&flow->consumer), 0);
	run_until(&flow->fixture, flow->consumer.bytes == length);
	cr_assert_eq(flow->consumer.terminals, 0);
	close(flow->pair.peer);
	flow->pair.peer = -1;
	run_until(&flow->fixture, flow->consumer.terminals > 0);
	assert_terminal(&flow->consumer, SLUICE_ERROR_SUCCESS);
}

Test(s01, s01_fifty_streams_at_once)
{
	enum {
		STREAMS = 50,
		LENGTH = 300000
	};
	struct fixture fixture;
	struct pair pairs[STREAMS];
	struct consumer *consumers = calloc(STREAMS, sizeof *consumers);
	struct writer writers[STREAMS];
	int ended;

	fixture_begin(&fixture);
	for (int i = 0; i < STREAMS; i++) {
		tcp_pair(&fixture, &pairs[i], 0);
		consumer_init(&consumers[i], &fixture, pairs[i].socket);
		cr_assert_eq(start_consuming(&consumers[i]), 0);
		writer_start(&writers[i], pairs[i].peer, LENGTH, 10007);
	}
	do {
		run_turn(&fixture, now_ns() + GUARD_NS, "the end of fifty streams");
		ended = 0;
		for (int i = 0; i < STREAMS; i++)
			ended += consumers[i].terminals;
	} while (ended < STREAMS);
	for (int i = 0; i < STREAMS; i++) {
		writer_join(&writers[i]);
		assert_terminal(&consumers[i], SLUICE_ERROR_SUCCESS);
		cr_assert_eq(consumers[i].bytes, LENGTH);
		pair_close(&pairs[i]);
	}
	assert_no_buffer_lent(&fixture);
	fixture_end(&fixture);
	free(consumers);
}

/* ---- lent buffers ---- */

/* Another stream of the same engine, from its first byte to its end. */
static void assert_flows_beside(struct fixture *fixture)
{
	struct consumer *consumer = malloc(sizeof *consumer);
	struct writer writer;
	struct pair pair;

	tcp_pair(fixture, &pair, 0);
	consumer_init(consumer, fixture, pair.socket);
	cr_assert_eq(start_consuming(consumer), 0);
	writer_start(&writer, pair.peer, (size_t)4 << 20, 50021);
	run_until(fixture, consumer->terminals > 0);
	writer_join(&writer);
	assert_terminal(consumer, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(consumer->bytes, (uint64_t)4 << 20);
	pair_close(&pair);
	free(consumer);
}

/* The first use of an engine is its first turn: until then nothing leaves for the kernel. */
Test(s01, s01_more_are_started_before_the_first_turn_than_the_ring_has_entries)
{
	enum {
		STREAMS = 50
	};
	struct sluice_options options;
	struct fixture fixture;
	struct pair pairs[STREAMS];
	struct consumer *consumers = calloc(STREAMS, sizeof *consumers);

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	options.ring_entries = 4;
	fixture_begin_with(&fixture, &options);
	for (int i = 0; i < STREAMS; i++) {
		unix_pair(&fixture, &pairs[i], SOCK_STREAM);
		consumer_init(&consumers[i], &fixture, pairs[i].socket);
		cr_assert_eq(start_consuming(&consumers[i]), 0);
	}
	for (int i = 0; i < STREAMS; i++)
		write_pattern(pairs[i].peer, 100, 0);
	for (int i = 0; i < STREAMS; i++)
		run_until(&fixture, consumers[i].position == 100);
	for (int i = 0; i < STREAMS; i++) {
		cr_assert_eq(consumers[i].terminals, 0);
		pair_close(&pairs[i]);
	}
	fixture_end(&fixture);
	free(consumers);
}

FLOW_TEST(s01, s01_buffers_are_released_in_any_order, flow_start)
{
	size_t written = 0;

	flow->consumer.holds = true;
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 4; i++, written += 1000) {
			write_pattern(flow->pair.peer, 1000, written);
			run_until(&flow->fixture, flow->consumer.bytes == written + 1000);
		}
		for (int i = 0; flow->consumer.held_count > 0; i++)
			release_held(&flow->consumer, (i * 5 + round) % flow->consumer.held_count);
	}
}

static void *release_in_thread(void *token)
{
	struct consumer *consumer = token;

	/* Backwards. */
	for (int i = consumer->held_count; i-- > 0;)
		sluice_buffer_release(consumer->fixture->engine, consumer->held[i].buffer);
	consumer->held_count = 0;
	return NULL;
}

/* The consumer waits for its buffers: it is woken by the release. */
FLOW_TEST(s01, s01_buffers_are_released_from_another_thread, flow_begin_few, 16, 1000, 4)
{
	struct writer writer;
	pthread_t thread;

	flow->consumer.holds = true;
	cr_assert_eq(start_consuming(&flow->consumer), 0);
	writer_start(&writer, flow->pair.peer, 200000, 5003);
	while (flow->consumer.terminals == 0) {
		int count = flow->consumer.held_count;

		if (count == 0) {
			run_turn(&flow->fixture, now_ns() + GUARD_NS, "bytes");
			continue;
		}
		cr_assert_leq(count, 4);
		cr_assert_eq(pthread_create(&thread, NULL, release_in_thread, &flow->consumer), 0);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		run_turn(&flow->fixture, now_ns() + GUARD_NS, "bytes");
	}
	writer_join(&writer);
	assert_terminal(&flow->consumer, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(flow->consumer.bytes, 200000);
}

struct releaser {
	pthread_t thread;
	struct consumer *consumer;
	int delay_us;
};

static void *release_later(void *token)
{
	struct releaser *releaser = token;

	usleep((useconds_t)releaser->delay_us);
	return release_in_thread(releaser->consumer);
}

/* run sleeps without end, as a server's loop does; only the release can wake it. */
FLOW_TEST(s01, s01_a_release_from_another_thread_wakes_an_engine_that_sleeps, flow_begin_few, 16,
	  1000, 4)
{
	struct consumer given; /* what the other thread releases, while more is received here */
	struct releaser releaser = {.consumer = &given, .delay_us = 50000};

	flow->consumer.holds = true;
	cr_assert_eq(start_consuming(&flow->consumer), 0);
	write_pattern(flow->pair.peer, 15000, 0);
	run_until(&flow->fixture, flow->consumer.held_count == 4);
	run_idle(&flow->fixture);
	cr_assert_eq(flow->consumer.held_count, 4);
	given = flow->consumer;
	flow->consumer.held_count = 0;
	cr_assert_eq(pthread_create(&releaser.thread, NULL, release_later, &releaser), 0);
	run_until(&flow->fixture, flow->consumer.events > 4);
	cr_assert_eq(pthread_join(releaser.thread, NULL), 0);
	while (flow->consumer.bytes < 15000) {
		release_all(&flow->consumer);
		run_turn(&flow->fixture, now_ns() + GUARD_NS, "the rest");
	}
}

Test(s01, s01_a_buffer_outlives_its_socket)
{
	struct flow flow;
	uint64_t bytes;

	flow_begin(&flow);
	flow.consumer.holds = true;
	cr_assert_eq(start_consuming(&flow.consumer), 0);
	write_pattern(flow.pair.peer, 5000, 0);
	run_until(&flow.fixture, flow.consumer.bytes == 5000);
	bytes = flow.consumer.bytes;
	pair_close(&flow.pair);
	run_until(&flow.fixture, flow.consumer.terminals > 0);

	/* Others receive meanwhile, and write over nothing of it. */
	assert_flows_beside(&flow.fixture);
	cr_assert_eq(flow.consumer.bytes, bytes);
	release_all(&flow.consumer);
	assert_no_buffer_lent(&flow.fixture);
	fixture_end(&flow.fixture);
}

FLOW_TEST(s01, s01_receive_start_refuses_what_it_cannot_do, flow_begin)
{
	struct sluice_receive_options bad = {0};
	struct operation pending;
	struct pair udp;
	char byte;

	cr_assert_eq(sluice_receive_start(flow->pair.socket, NULL), -EINVAL);
	cr_assert_eq(sluice_receive_start(flow->pair.socket, &bad), -EINVAL);
	bad.size = sizeof bad;
	cr_assert_eq(sluice_receive_start(flow->pair.socket, &bad), -EINVAL);
	cr_assert_eq(stop_consuming(&flow->consumer), -ENOENT);

	operation_init(&pending, &flow->fixture);
	cr_assert_eq(start_receive(flow->pair.socket, &pending, &byte, 1), 1);
	cr_assert_eq(start_consuming(&flow->consumer), -EBUSY);
	cr_assert_eq(sluice_cancel(flow->pair.socket, &pending.args), 0);
	run_until(&flow->fixture, is_over(&pending));
	cr_assert_eq(start_consuming(&flow->consumer), 0);
	cr_assert_eq(start_consuming(&flow->consumer), -EBUSY);
	sluice_socket_close(flow->pair.socket);
	cr_assert_eq(start_consuming(&flow->consumer), -EBADF);
	cr_assert_eq(stop_consuming(&flow->consumer), -EBADF);
	run_until(&flow->fixture, flow->consumer.terminals > 0);
	assert_terminal(&flow->consumer, SLUICE_ERROR_OPERATION_ABORTED);
	pair_close(&flow->pair);

	flow->consumer.socket = attach(&flow->fixture, new_tcp(0));
	cr_assert_eq(start_consuming(&flow->consumer), -ENOTCONN);
	sluice_socket_destroy(flow->consumer.socket);
	udp_pair(&flow->fixture, &udp);
	flow->consumer.socket = udp.socket;
	cr_assert_eq(start_consuming(&flow->consumer), -EOPNOTSUPP);
	pair_close(&udp);
}

/* ---- s02 ---- */

FLOW_TEST(s02, s02_no_more_buffers_are_lent_than_one_socket_may_have, flow_start)
{
	flow->consumer.holds = true;
	/* Small pieces, each alone, so that buffers run out before the bytes do. */
	for (size_t i = 0; i < 30; i++) {
		write_pattern(flow->pair.peer, 10, i * 10);
		run_idle(&flow->fixture);
	}
	cr_assert_leq(flow->consumer.held_most, 8, "%d buffers were lent",
		      flow->consumer.held_most);
	cr_assert_eq(statistics_of(&flow->fixture).buffers_lent,
		     (uint64_t)flow->consumer.held_count);
	cr_assert_lt(flow->consumer.bytes, 300);
	cr_assert_geq(statistics_of(&flow->fixture).receive_pauses, 1);

	/* A returned buffer resumes receiving. */
	release_held(&flow->consumer, 3);
	run_until(&flow->fixture, flow->consumer.bytes == 300);
	cr_assert_leq(flow->consumer.held_most, 8);
}

FLOW_TEST(s02, s02_a_slow_consumer_stops_nobody_else, flow_start)
{
	uint64_t length;

	flow->consumer.holds = true;
	length = run_until_held(&flow->consumer, flow->pair.peer, 8);

	assert_flows_beside(&flow->fixture);
	cr_assert_eq(flow->consumer.held_count, 8);

	while (flow->consumer.bytes < length) {
		release_all(&flow->consumer);
		run_turn(&flow->fixture, now_ns() + GUARD_NS, "the rest");
	}
}

FLOW_TEST(s02, s02_waiting_for_a_buffer_is_no_spinning, flow_start)
{
	uint64_t turns;

	flow->consumer.holds = true;
	run_until_held(&flow->consumer, flow->pair.peer, 8);
	run_idle(&flow->fixture);
	turns = turns_in(&flow->fixture, 300 * MILLISECOND);
	cr_assert_leq(turns, 10, "%llu turns in 300 ms in which nothing could be done",
		      (unsigned long long)turns);
}

/* The kernel's window closes, and the peer waits. */
Test(s02, s02_a_slow_consumer_is_felt_by_its_peer)
{
	struct flow flow;
	char *bytes = calloc(1, 65536);
	size_t taken = 0;
	ssize_t count;

	fixture_begin(&flow.fixture);
	tcp_pair(&flow.fixture, &flow.pair, SMALL);
	consumer_init(&flow.consumer, &flow.fixture, flow.pair.socket);
	flow.consumer.holds = true;
	cr_assert_eq(start_consuming(&flow.consumer), 0);
	for (int i = 0; i < 200; i++) {
		pattern_fill(bytes, 65536, taken);
		count = send(flow.pair.peer, bytes, 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
		taken += count > 0 ? (size_t)count : 0;
		cr_assert(sluice_engine_run(flow.fixture.engine, MILLISECOND) >= 0);
	}
	cr_assert_lt(taken, 1 << 20, "the peer got rid of %zu bytes", taken);
	while (flow.consumer.bytes < taken) {
		release_all(&flow.consumer);
		run_turn(&flow.fixture, now_ns() + GUARD_NS, "the rest");
	}
	free(bytes);
	flow_end(&flow);
}

/* Consumers that hold what they get, each with its peer. */
struct crowd {
	struct fixture fixture;
	int count;
	struct pair *pairs;
	struct consumer *consumers;
};

static void crowd_begin(struct crowd *crowd, const struct sluice_options *options, int count)
{
	fixture_begin_with(&crowd->fixture, options);
	crowd->count = count;
	crowd->pairs = calloc((size_t)count, sizeof *crowd->pairs);
	crowd->consumers = calloc((size_t)count, sizeof *crowd->consumers);
	for (int i = 0; i < count; i++) {
		tcp_pair(&crowd->fixture, &crowd->pairs[i], 0);
		consumer_init(&crowd->consumers[i], &crowd->fixture, crowd->pairs[i].socket);
		crowd->consumers[i].holds = true;
	}
}

static int held_by_all(const struct crowd *crowd)
{
	int held = 0;

	for (int i = 0; i < crowd->count; i++)
		held += crowd->consumers[i].held_count;
	return held;
}

static int without_any(const struct crowd *crowd)
{
	int count = 0;

	for (int i = 0; i < crowd->count; i++)
		count += crowd->consumers[i].held_count == 0;
	return count;
}

/* Everything is released, and all of the bytes come. */
static void crowd_end(struct crowd *crowd, uint64_t bytes)
{
	for (int i = 0; i < crowd->count; i++) {
		crowd->consumers[i].holds = false;
		release_all(&crowd->consumers[i]);
	}
	for (int i = 0; i < crowd->count; i++) {
		run_until(&crowd->fixture, crowd->consumers[i].bytes == bytes);
		pair_close(&crowd->pairs[i]);
	}
	assert_no_buffer_lent(&crowd->fixture);
	free(crowd->pairs);
	free(crowd->consumers);
	fixture_end(&crowd->fixture);
}

/* Pieces, each alone, until no consumer takes another one. */
static void crowd_fill(struct crowd *crowd, int pieces, size_t bytes)
{
	for (int i = 0; i < crowd->count; i++)
		cr_assert_eq(start_consuming(&crowd->consumers[i]), 0);
	for (int piece = 0; piece < pieces; piece++) {
		for (int i = 0; i < crowd->count; i++)
			write_pattern(crowd->pairs[i].peer, bytes, (uint64_t)piece * bytes);
		run_idle(&crowd->fixture);
	}
}

/* All buffers of a pool that may not grow are lent: each that comes back is for one that has none. */
Test(s02, s02_when_all_buffers_are_out_the_next_that_comes_back_serves_who_waits)
{
	struct sluice_options options = few_buffers(16, 1000, 8);
	struct crowd crowd;

	crowd_begin(&crowd, &options, 20);
	crowd_fill(&crowd, 4, 5000);
	run_until(&crowd.fixture, held_by_all(&crowd) == 16);
	cr_assert_leq(turns_in(&crowd.fixture, 200 * MILLISECOND), 20);
	for (int waiting = without_any(&crowd); waiting > 0; waiting--) {
		int richest = 0;

		cr_assert_eq(without_any(&crowd), waiting);
		for (int i = 1; i < crowd.count; i++) {
			if (crowd.consumers[i].bytes > crowd.consumers[richest].bytes &&
			    crowd.consumers[i].held_count > 0)
				richest = i;
		}
		if (crowd.consumers[richest].held_count < 2)
			break;
		release_held(&crowd.consumers[richest], 0);
		run_until(&crowd.fixture, held_by_all(&crowd) == 16);
	}
	crowd_end(&crowd, 20000);
}

/* The pool is empty when they start. The first two have nothing to receive, the third is closed. */
Test(s02, s02_a_buffer_that_comes_back_passes_sockets_that_do_not_take_it)
{
	struct sluice_options options = few_buffers(16, 1000, 8);
	struct consumer late[4];
	struct pair pairs[4];
	struct crowd crowd;

	crowd_begin(&crowd, &options, 16);
	crowd_fill(&crowd, 1, 1000);
	run_until(&crowd.fixture, held_by_all(&crowd) == 16);
	for (int i = 0; i < 4; i++) {
		tcp_pair(&crowd.fixture, &pairs[i], 0);
		consumer_init(&late[i], &crowd.fixture, pairs[i].socket);
		if (i > 1)
			write_pattern(pairs[i].peer, 100, 0);
		cr_assert_eq(start_consuming(&late[i]), 0);
	}
	run_idle(&crowd.fixture);
	cr_assert_eq(late[3].bytes, 0);
	release_held(&crowd.consumers[0], 0);
	cr_assert_eq(sluice_socket_close(pairs[2].socket), 0);
	run_until(&crowd.fixture, late[3].bytes == 100);
	for (int i = 0; i < 4; i++)
		pair_close(&pairs[i]);
	crowd_end(&crowd, 1000);
}

/* More slow consumers than the pool has whole shares. */
Test(s02, s02_many_slow_consumers_leave_buffers_for_another)
{
	struct sluice_options options = few_buffers(64, 1000, 8);
	struct crowd crowd;

	crowd_begin(&crowd, &options, 12);
	crowd_fill(&crowd, 20, 1000);
	run_idle(&crowd.fixture);
	cr_assert_eq(without_any(&crowd), 0);
	cr_assert_leq(held_by_all(&crowd), 63);
	assert_flows_beside(&crowd.fixture);
	crowd_end(&crowd, 20000);
}

/* With the defaults: 40 times 8 buffers are more than there are at first. */
Test(s02, s02_slow_consumers_beyond_the_first_buffers_leave_the_pool_open)
{
	struct sluice_options options;
	struct crowd crowd;

	cr_assert_eq(sluice_options_init(&options, sizeof options), 0);
	crowd_begin(&crowd, &options, 40);
	crowd_fill(&crowd, 12, 100);
	for (int i = 0; i < crowd.count; i++) {
		run_until(&crowd.fixture, crowd.consumers[i].held_count > 0);
		cr_assert_leq(crowd.consumers[i].held_most, 8);
	}
	assert_flows_beside(&crowd.fixture);
	crowd_end(&crowd, 1200);
}

/* Bytes and the end of the stream wait while the consumer holds what it may have. */
FLOW_TEST(s02, s02_the_end_of_a_stream_waits_behind_its_bytes, flow_begin_few, 16, 1000, 2)
{
	flow->consumer.holds = true;
	cr_assert_eq(start_consuming(&flow->consumer), 0);
	write_pattern(flow->pair.peer, 10000, 0);
	close(flow->pair.peer);
	flow->pair.peer = -1;
	run_until(&flow->fixture, flow->consumer.held_count == 2);
	run_idle(&flow->fixture);
	cr_assert_eq(flow->consumer.terminals, 0);
	while (flow->consumer.terminals == 0) {
		release_all(&flow->consumer);
		run_turn(&flow->fixture, now_ns() + GUARD_NS, "the rest");
	}
	assert_terminal(&flow->consumer, SLUICE_ERROR_SUCCESS);
	cr_assert_eq(flow->consumer.bytes, 10000);
}
