/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <sluice/engine.h>

#include "core/plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(plan, memory_goes_inline_until_the_socket_is_full_or_the_ring_is_asked_for)
{
	static const struct {
		bool ring, full;
		uint32_t way;
		int plan;
	} rows[] = {
		{false, false, SLUICE_TRANSMIT_WAY_AUTO, SLUICE__PLAN_INLINE},
		{true, false, SLUICE_TRANSMIT_WAY_AUTO, SLUICE__PLAN_INLINE},
		{false, true, SLUICE_TRANSMIT_WAY_AUTO, SLUICE__PLAN_SUBMIT},
		{true, true, SLUICE_TRANSMIT_WAY_AUTO, SLUICE__PLAN_SUBMIT},
		{false, false, SLUICE_TRANSMIT_WAY_INLINE, SLUICE__PLAN_INLINE},
		{true, false, SLUICE_TRANSMIT_WAY_INLINE, SLUICE__PLAN_INLINE},
		{false, true, SLUICE_TRANSMIT_WAY_INLINE, SLUICE__PLAN_SUBMIT},
		{true, true, SLUICE_TRANSMIT_WAY_INLINE, SLUICE__PLAN_SUBMIT},
		{true, false, SLUICE_TRANSMIT_WAY_RING, SLUICE__PLAN_SUBMIT},
		{true, true, SLUICE_TRANSMIT_WAY_RING, SLUICE__PLAN_SUBMIT},
		/* Without a ring there is nothing to ask for. */
		{false, false, SLUICE_TRANSMIT_WAY_RING, SLUICE__PLAN_INLINE},
		{false, true, SLUICE_TRANSMIT_WAY_RING, SLUICE__PLAN_SUBMIT},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_memory facts = {
			.ring = rows[i].ring,
			.full = rows[i].full,
			.way = rows[i].way,
		};

		cr_expect_eq(sluice__plan_memory(&facts), rows[i].plan, "row %zu", i);
	}
}

Test(plan, what_zero_copy_is_good_for_goes_that_way_whatever_the_socket_says)
{
	static const bool yes_no[] = {false, true};

	for (size_t ring = 0; ring < 2; ring++) {
		for (size_t full = 0; full < 2; full++) {
			struct sluice__plan_memory facts = {
				.ring = yes_no[ring],
				.full = yes_no[full],
				.way = SLUICE_TRANSMIT_WAY_ZEROCOPY,
				.zerocopy = true,
			};

			cr_expect_eq(sluice__plan_memory(&facts), SLUICE__PLAN_ZEROCOPY);
			/* Forced, and not possible: as if nothing was said. */
			facts.zerocopy = false;
			cr_expect_eq(sluice__plan_memory(&facts),
				     full ? SLUICE__PLAN_SUBMIT : SLUICE__PLAN_INLINE);
		}
	}
}

Test(plan, a_file_goes_by_sendfile_unless_it_is_large_or_small_and_joins_memory)
{
	static const struct {
		bool joins_memory;
		uint64_t count, read_bytes;
		int plan;
	} rows[] = {
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
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__plan_file facts = {
			.way = rows[i].way,
			.sendfile = rows[i].sendfile,
			.copy = rows[i].copy,
			.count = 1 << 20,
			.read_bytes = 2048,
		};

		cr_expect_eq(sluice__plan_file(&facts), rows[i].plan, "row %zu", i);
	}
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
