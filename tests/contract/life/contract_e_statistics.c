/* SPDX-License-Identifier: MIT */
/* What the statistics of a socket say about its connection. */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "support.h"

static struct sluice_socket_statistics limits_of(struct sluice_socket *socket)
{
	struct sluice_socket_statistics statistics = {.size = sizeof statistics};

	cr_assert_eq(sluice_socket_statistics(socket, &statistics), 0);
	return statistics;
}

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

	run_until(fixture, limits_of(blocked->pair.socket).receiver_limited_ns > 0);
	run_until(fixture, limits_of(blocked->pair.socket).unsent_bytes > 0);
	statistics = limits_of(blocked->pair.socket);
	cr_assert_geq(statistics.busy_ns, statistics.receiver_limited_ns);
	cr_assert_lt(statistics.unsent_bytes, HEAD_BYTES);
	cr_assert(!is_over(&blocked->head));
	run_reading(fixture, blocked->pair.peer, HEAD_BYTES, 0);
	run_until(fixture, is_over(&blocked->head));
	run_until(fixture, limits_of(blocked->pair.socket).unsent_bytes == 0);
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

	run_until(fixture, limits_of(blocked->pair.socket).busy_ns > 0);
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
