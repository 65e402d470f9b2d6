/* SPDX-License-Identifier: MIT */

#include <sluice/engine.h>

#include "cases.h"
#include "core/plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Two kinds of machine: with cheap system calls, and with page-table isolation. */
#define CHEAP                \
	{                    \
		116, 150, 40 \
	}
#define EXPENSIVE              \
	{                      \
		1010, 1190, 40 \
	}
#define UNKNOWN         \
	{               \
		0, 0, 0 \
	}

Test(plan, the_memory_of_a_turn_goes_by_the_ring_where_that_costs_less)
{
	static const struct {
		uint32_t sockets;
		bool entering;
		struct sluice__costs costs;
		bool by_ring;
	} rows[] = {
		/* A socket alone: a call against a call and an entry. */
		{1, false, CHEAP, false},
		{1, false, EXPENSIVE, false},
		/* Entries that wait make the call in any case. */
		{1, true, CHEAP, true},
		{1, true, EXPENSIVE, true},
		{2, false, CHEAP, false},
		{2, false, EXPENSIVE, true},
		{2, true, EXPENSIVE, true},
		{4, false, CHEAP, false},
		{5, false, CHEAP, true},
		{64, false, CHEAP, true},
		{64, false, EXPENSIVE, true},
		{10000, false, CHEAP, true},
		{UINT32_MAX, false, CHEAP, true},
		/* The ring's call is a call: one for one saves nothing, whatever was measured. */
		{1, false, {1000, 10, 5}, false},
		{2, false, {1000, 10, 5}, true},
		/* An entry that costs as much as half a call saves nothing. */
		{1000, true, {100, 100, 50}, false},
		{1000, true, {101, 100, 50}, true},
		{1000, false, {80, 100, 60}, false},
		/* Nothing is known: inline, whose result is there at once. */
		{1000, false, UNKNOWN, false},
		{1000, true, UNKNOWN, false},
		{0, false, EXPENSIVE, false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_turn facts = {
			.ring = true,
			.entering = rows[i].entering,
			.way = SLUICE_TRANSMIT_WAY_AUTO,
			.sockets = rows[i].sockets,
			.costs = rows[i].costs,
		};

		cr_expect_eq(sluice__plan_by_ring(&facts), rows[i].by_ring, "row %zu", i);
		facts.ring = false;
		cr_expect_not(sluice__plan_by_ring(&facts), "row %zu", i);
	}
}

Test(plan, a_way_that_is_forced_is_taken_whatever_it_costs)
{
	static const struct sluice__costs costs[] = {CHEAP, EXPENSIVE, UNKNOWN, {1, 1, 1000}};
	static const uint32_t sockets[] = {1, 2, 1000};

	for (size_t i = 0; i < COUNT(costs) * COUNT(sockets) * 2; i++) {
		struct sluice__plan_turn facts = {
			.ring = true,
			.entering = i % 2,
			.sockets = sockets[i / 2 % COUNT(sockets)],
			.costs = costs[i / 2 / COUNT(sockets)],
		};

		facts.way = SLUICE_TRANSMIT_WAY_RING;
		cr_expect(sluice__plan_by_ring(&facts));
		facts.way = SLUICE_TRANSMIT_WAY_INLINE;
		cr_expect_not(sluice__plan_by_ring(&facts));
		facts.way = SLUICE_TRANSMIT_WAY_ZEROCOPY;
		cr_expect_not(sluice__plan_by_ring(&facts));
		/* Without a ring there is nothing to force. */
		facts.ring = false;
		facts.way = SLUICE_TRANSMIT_WAY_RING;
		cr_expect_not(sluice__plan_by_ring(&facts));
	}
}

Test(plan, memory_goes_its_turns_way_unless_the_socket_is_full_or_it_is_for_zero_copy)
{
	static const struct {
		bool by_ring, full, zerocopy;
		int plan;
	} rows[] = {
		{false, false, false, SLUICE__PLAN_INLINE},
		{true, false, false, SLUICE__PLAN_SUBMIT},
		{false, true, false, SLUICE__PLAN_SUBMIT},
		{true, true, false, SLUICE__PLAN_SUBMIT},
		{false, false, true, SLUICE__PLAN_ZEROCOPY},
		{true, false, true, SLUICE__PLAN_ZEROCOPY},
		{false, true, true, SLUICE__PLAN_ZEROCOPY},
		{true, true, true, SLUICE__PLAN_ZEROCOPY},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_memory facts = {
			.by_ring = rows[i].by_ring,
			.full = rows[i].full,
			.zerocopy = rows[i].zerocopy,
		};

		cr_expect_eq(sluice__plan_memory(&facts), rows[i].plan, "row %zu", i);
	}
}

Test(plan, a_file_goes_by_sendfile_unless_it_is_large_or_small_and_joins_memory)
{
	static const struct {
		bool joins_memory;
		uint64_t count, read_bytes;
		int plan;
		bool followed;
	} rows[] = {
		{true, 0, 2048, SLUICE__PLAN_READ, true},
		{true, 8192, 2048, SLUICE__PLAN_READ, true},
		{true, 8193, 2048, SLUICE__PLAN_SENDFILE, true},
		{true, 1, 0, SLUICE__PLAN_SENDFILE, true},
		{true, 100000, UINT64_MAX, SLUICE__PLAN_READ, true},
		{false, 1, 2048, SLUICE__PLAN_SENDFILE},
		{false, 2048, 2048, SLUICE__PLAN_SENDFILE},
		{false, 524287, 2048, SLUICE__PLAN_SENDFILE},
		{false, 524288, 2048, SLUICE__PLAN_SPLICE},
		{false, UINT64_MAX, 2048, SLUICE__PLAN_SPLICE},
		{true, 0, 2048, SLUICE__PLAN_READ},
		{true, 1, 2048, SLUICE__PLAN_READ},
		{true, 2047, 2048, SLUICE__PLAN_READ},
		{true, 2048, 2048, SLUICE__PLAN_READ},
		{true, 2049, 2048, SLUICE__PLAN_SENDFILE},
		{true, UINT64_MAX, 2048, SLUICE__PLAN_SPLICE},
		{true, 524288, 524288, SLUICE__PLAN_READ},
		{true, 1, 0, SLUICE__PLAN_SENDFILE},
		{true, 5000, UINT64_MAX, SLUICE__PLAN_READ},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_file facts = {
			.way = SLUICE_FILE_WAY_AUTO,
			.sendfile = true,
			.joins_memory = rows[i].joins_memory,
			.followed = rows[i].followed,
			.count = rows[i].count,
			.read_bytes = rows[i].read_bytes,
		};

		cr_expect_eq(sluice__plan_file(&facts), rows[i].plan, "row %zu", i);
	}
}

Test(plan, the_way_of_a_file_can_be_forced_and_a_missing_sendfile_means_reading)
{
	static const struct {
		uint32_t way;
		bool sendfile, copy;
		int plan;
	} rows[] = {
		{SLUICE_FILE_WAY_AUTO, true, false, SLUICE__PLAN_SPLICE},
		{SLUICE_FILE_WAY_AUTO, true, true, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_AUTO, false, false, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_AUTO, false, true, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_SENDFILE, true, false, SLUICE__PLAN_SENDFILE},
		{SLUICE_FILE_WAY_SENDFILE, true, true, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_SENDFILE, false, false, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_READ, true, false, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_READ, false, true, SLUICE__PLAN_READ},
		{SLUICE_FILE_WAY_SPLICE, true, false, SLUICE__PLAN_SPLICE},
		{SLUICE_FILE_WAY_SPLICE, false, false, SLUICE__PLAN_SPLICE},
		{SLUICE_FILE_WAY_SPLICE_RING, true, false, SLUICE__PLAN_SPLICE_RING},
		{SLUICE_FILE_WAY_SPLICE_RING, false, false, SLUICE__PLAN_SPLICE_RING},
		{SLUICE_FILE_WAY_SPLICE_RING, true, true, SLUICE__PLAN_READ},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_file facts = {
			.way = rows[i].way,
			.sendfile = rows[i].sendfile,
			.ring = true,
			.copy = rows[i].copy,
			.count = 1 << 20,
			.read_bytes = 2048,
		};

		cr_expect_eq(sluice__plan_file(&facts), rows[i].plan, "row %zu", i);
	}
}

Test(plan, without_a_ring_that_splices_the_calls_do)
{
	struct sluice__plan_file facts = {.way = SLUICE_FILE_WAY_SPLICE_RING, .count = 1 << 20};

	cr_expect_eq(sluice__plan_file(&facts), SLUICE__PLAN_SPLICE);
}

Test(plan, sendfile_that_is_forced_is_kept_for_a_small_file_beside_memory)
{
	struct sluice__plan_file facts = {
		.way = SLUICE_FILE_WAY_SENDFILE,
		.sendfile = true,
		.joins_memory = true,
		.count = 1,
		.read_bytes = 2048,
	};

	cr_expect_eq(sluice__plan_file(&facts), SLUICE__PLAN_SENDFILE);
}

/* ---- how many completions a wait is for ---- */

Test(plan, a_wait_is_for_several_only_under_load_and_for_no_more_than_are_flying)
{
	static const struct {
		struct sluice__plan_wait facts;
		uint32_t flying, count;
	} rows[] = {
		{{0, 0, 0, 0}, 100, 1}, /* nothing came before: idle */
		{{5, 0, 0, 0}, 100, 2}, /* nothing is known yet */
		{{5, 16, 0, 0}, 100, 16}, {{5, 16, 0, 0}, 10, 10},
		{{5, 16, 0, 0}, 1, 1},    {{5, 16, 0, 0}, 0, 1},
		{{5, 16, 1, 3}, 100, 1}, /* it rests */
		{{5, 1, 0, 0}, 100, 2},   {{UINT32_MAX, UINT32_MAX, 0, 0}, UINT32_MAX, UINT32_MAX},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		cr_assert_eq(sluice__plan_wait(&rows[i].facts, rows[i].flying), rows[i].count,
			     "row %zu", i);
}

Test(plan, what_a_wait_brought_decides_the_next_one)
{
	static const struct {
		struct sluice__plan_wait before;
		uint32_t asked, brought;
		struct sluice__plan_wait after;
	} rows[] = {
		/* Filled: twice as many. */
		{{3, 0, 0, 0}, 2, 2, {2, 4, 0, 0}},
		{{3, 4, 0, 0}, 4, 9, {9, 8, 0, 0}},
		{{3, 128, 0, 0}, 128, 128, {128, 256, 0, 0}},
		{{3, 256, 0, 0}, 256, 300, {300, 256, 0, 0}},
		/* Not filled: what came. */
		{{3, 64, 0, 0}, 64, 30, {30, 30, 0, 0}},
		{{3, 64, 3, 0}, 64, 2, {2, 2, 0, 0}},
		/* In vain: it becomes rare, up to one in 64. */
		{{3, 8, 0, 0}, 8, 1, {1, 1, 1, 2}},
		{{3, 2, 1, 0}, 2, 0, {0, 0, 2, 4}},
		{{3, 2, 5, 0}, 2, 1, {1, 1, 6, 64}},
		{{3, 2, 6, 0}, 2, 1, {1, 1, 6, 64}},
		/* A wait for the first one only counts down the rest, if it brought any. */
		{{3, 8, 2, 4}, 1, 1, {1, 8, 2, 3}},
		{{3, 8, 2, 4}, 1, 0, {0, 8, 2, 4}},
		{{3, 8, 2, 0}, 1, 5, {5, 8, 2, 0}},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_wait facts = rows[i].before;

		sluice__plan_waited(&facts, rows[i].asked, rows[i].brought);
		cr_assert_eq(facts.brought, rows[i].after.brought, "row %zu", i);
		cr_assert_eq(facts.count, rows[i].after.count, "row %zu", i);
		cr_assert_eq(facts.vain, rows[i].after.vain, "row %zu", i);
		cr_assert_eq(facts.rest, rows[i].after.rest, "row %zu", i);
	}
}
