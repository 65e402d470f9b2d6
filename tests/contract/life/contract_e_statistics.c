/* SPDX-License-Identifier: MIT */
/* What the statistics of a socket say about its connection. */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "measure.h"
#include "support.h"

static struct sluice_socket_statistics limits_of(struct sluice_socket *socket)
{
	struct sluice_socket_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_socket_statistics(socket, &statistics), 0);
	return statistics;
}

/* The kernel counts in ticks, and nothing wakes the engine for that. */
#define run_polling(fixture, condition)                                          \
	do {                                                                     \
		for (int64_t polling_end = now_ns() + GUARD_NS; !(condition);) { \
			cr_assert(now_ns() < polling_end, "%s", #condition);     \
			run_for(fixture, MILLISECOND);                           \
		}                                                                \
	} while (0)

static void assert_unknown(const struct sluice_socket_statistics *statistics)
{
	cr_assert_eq(statistics->busy_ns, 0);
	cr_assert_eq(statistics->receiver_limited_ns, 0);
	cr_assert_eq(statistics->send_buffer_limited_ns, 0);
	cr_assert_eq(statistics->unsent_bytes, 0);
}

BLOCKED_TEST(e12, e12_a_peer_that_does_not_read_is_what_limits, blocked_begin)
{
	struct sluice_socket_statistics statistics;

	run_polling(fixture, limits_of(blocked->pair.socket).receiver_limited_ns > 0);
	run_polling(fixture, limits_of(blocked->pair.socket).unsent_bytes > 0);
	statistics = limits_of(blocked->pair.socket);
	cr_assert_geq(statistics.busy_ns, statistics.receiver_limited_ns);
	cr_assert_lt(statistics.unsent_bytes, HEAD_BYTES);
	cr_assert(!is_over(&blocked->head));
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	run_polling(fixture, limits_of(blocked->pair.socket).unsent_bytes == 0);
}

/* An older caller's structure ends before these members, and its memory behind is not touched. */
BLOCKED_TEST(e12, e12_a_smaller_structure_is_filled_as_far_as_it_goes, blocked_begin)
{
	struct sluice_socket_statistics statistics = {
		.size = offsetof(struct sluice_socket_statistics, busy_ns),
		.busy_ns = 77,
	};

	cr_assert_eq(sluice_socket_statistics(blocked->pair.socket, &statistics), 0);
	cr_assert_gt(statistics.queued_bytes, 0);
	cr_assert_eq(statistics.busy_ns, 77);
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
}

static void *ask_from_here(void *token)
{
	struct sluice_socket_statistics *statistics = malloc(sizeof *statistics);

	statistics->size = sizeof *statistics;
	cr_assert_eq(sluice_socket_statistics(token, statistics), 0);
	return statistics;
}

BLOCKED_TEST(e12, e12_other_threads_and_other_sockets_get_zeros, blocked_begin)
{
	struct sluice_socket_statistics statistics, *elsewhere;
	struct pair local, datagrams;
	pthread_t thread;

	run_polling(fixture, limits_of(blocked->pair.socket).busy_ns > 0);
	cr_assert_eq(pthread_create(&thread, NULL, ask_from_here, blocked->pair.socket), 0);
	cr_assert_eq(pthread_join(thread, (void **)&elsewhere), 0);
	cr_assert_gt(elsewhere->queued_bytes, 0);
	assert_unknown(elsewhere);
	free(elsewhere);

	unix_pair(fixture, &local, SOCK_STREAM);
	udp_pair(fixture, &datagrams);
	statistics = limits_of(local.socket);
	assert_unknown(&statistics);
	statistics = limits_of(datagrams.socket);
	assert_unknown(&statistics);
	pair_close(&local);
	pair_close(&datagrams);

	cr_assert_eq(sluice_socket_close(blocked->pair.socket), 0);
	run_until(fixture, is_over(&blocked->head));
	statistics = limits_of(blocked->pair.socket);
	assert_unknown(&statistics);
}

/* ---- histograms ---- */

static uint64_t sum_of(const uint64_t buckets[SLUICE_STATISTICS_BUCKETS])
{
	uint64_t sum = 0;

	for (int i = 0; i < SLUICE_STATISTICS_BUCKETS; i++)
		sum += buckets[i];
	return sum;
}

/* What happened since, in the only bucket in which anything did. */
static int bucket_since(const uint64_t before[SLUICE_STATISTICS_BUCKETS],
			const uint64_t after[SLUICE_STATISTICS_BUCKETS], uint64_t count)
{
	int found = -1;

	for (int i = 0; i < SLUICE_STATISTICS_BUCKETS; i++) {
		if (after[i] == before[i])
			continue;
		cr_assert_eq(after[i] - before[i], count);
		cr_assert_eq(found, -1, "in bucket %d and in %d", found, i);
		found = i;
	}
	return found;
}

static void send_together(struct fixture *fixture, struct pair *pair, struct operation *operations,
			  size_t count)
{
	cr_assert_eq(sluice_batch_begin(fixture->engine), 0);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(start_send(pair->socket, &operations[i], "x", 1), 1);
	cr_assert_eq(sluice_batch_end(fixture->engine), 0);
	run_until(fixture, fixture->pending == 0);
}

PAIR_TEST(e13, e13_records_of_one_transmission_are_counted_by_powers_of_two, tcp_pair, 0)
{
	static const struct {
		size_t records;
		int bucket;
	} rows[] = {{1, 0}, {2, 1}, {3, 1}, {4, 2}, {15, 3}, {16, 4}, {300, 8}};
	struct operation *operations = operations_new(fixture, 300);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sluice_engine_statistics before = statistics_of(fixture), after;

		send_together(fixture, pair, operations, rows[i].records);
		after = statistics_of(fixture);
		cr_assert_eq(after.transmissions - before.transmissions, 1);
		cr_assert_eq(bucket_since(before.transmission_records, after.transmission_records,
					  1),
			     rows[i].bucket, "%zu records", rows[i].records);
	}
	free(operations);
}

PAIR_TEST(e13, e13_datagrams_too, udp_pair)
{
	struct sluice_engine_statistics before = statistics_of(fixture), after;
	struct operation *operations = operations_new(fixture, 32);

	send_together(fixture, pair, operations, 32);
	after = statistics_of(fixture);
	if (after.capabilities & SLUICE_CAPABILITY_UDP_GSO)
		cr_assert_eq(bucket_since(before.transmission_records, after.transmission_records,
					  1),
			     5);
	cr_assert_eq(sum_of(after.transmission_records), after.transmissions);
	free(operations);
}

PAIR_TEST(e13, e13_a_send_that_is_tried_at_once_counts_as_one_of_one_record, tcp_pair, 0)
{
	struct sluice_engine_statistics before = statistics_of(fixture), after;
	struct operation operation;

	operation_init(&operation, fixture);
	for (int i = 0; i < 5; i++)
		run_send(pair->socket, &operation, "x", 1);
	after = statistics_of(fixture);
	cr_assert_eq(bucket_since(before.transmission_records, after.transmission_records, 5), 0);
}

/* Each of the peers has written before the engine looks: one turn finds all of them. */
ENGINE_TEST(e13, e13_completions_of_a_turn_are_counted_and_add_up)
{
	enum {
		PAIRS = 8
	};
	struct sluice_engine_statistics before, after;
	struct operation receives[PAIRS];
	struct pair pairs[PAIRS];
	char bytes[PAIRS];

	for (int i = 0; i < PAIRS; i++) {
		tcp_pair(fixture, &pairs[i], 0);
		operation_init(&receives[i], fixture);
		cr_assert_eq(start_receive(pairs[i].socket, &receives[i], &bytes[i], 1), 1);
	}
	run_idle(fixture);
	before = statistics_of(fixture);
	for (int i = 0; i < PAIRS; i++)
		write_pattern(pairs[i].peer, 1, 0);
	run_until(fixture, fixture->pending == 0);
	after = statistics_of(fixture);
	cr_assert_eq(after.completions - before.completions, PAIRS);
	cr_assert_eq(bucket_since(before.turn_completions, after.turn_completions, 1), 3);
	cr_assert_leq(sum_of(after.turn_completions), after.turns);
	for (int i = 0; i < PAIRS; i++)
		pair_close(&pairs[i]);
}

ENGINE_TEST(e13, e13_what_sockets_sent_that_are_gone_stays_counted)
{
	struct sluice_engine_statistics before, after;
	struct operation *operations = operations_new(fixture, 4);
	struct pair pair;

	tcp_pair(fixture, &pair, 0);
	send_together(fixture, &pair, operations, 4);
	before = statistics_of(fixture);
	cr_assert_geq(before.records_sent, 4);
	pair_close(&pair);
	run_polling(fixture, statistics_of(fixture).sockets == 0);
	after = statistics_of(fixture);
	cr_assert_eq(after.records_sent, before.records_sent);
	cr_assert_eq(after.bytes_sent, before.bytes_sent);
	cr_assert_eq(after.transmissions, before.transmissions);
	cr_assert_eq(sum_of(after.transmission_records), after.transmissions);
	free(operations);
}
