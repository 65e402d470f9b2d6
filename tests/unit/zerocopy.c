/* SPDX-License-Identifier: MIT */
/* The policy of zero copy, driven by tables and by made-up kernels. */

#include "cases.h"
#include "core/zerocopy_policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define AUTO SLUICE_ZEROCOPY_AUTO
#define OFF SLUICE_ZEROCOPY_OFF
#define ALWAYS SLUICE_ZEROCOPY_ALWAYS

Test(zerocopy, only_what_is_large_and_in_large_pieces_fits)
{
	static const struct {
		uint32_t mode;
		bool forced, registered;
		uint64_t bytes;
		uint32_t segments;
		bool fits;
	} rows[] = {
		{AUTO, false, false, 32767, 1, false},
		{AUTO, false, false, 32768, 1, true},
		{ALWAYS, false, false, 32767, 1, false},
		{ALWAYS, false, false, 32768, 1, true},
		{OFF, false, false, 1 << 30, 1, false},
		/* Each segment pins its own pages. */
		{AUTO, false, false, 32768, 8, true},
		{AUTO, false, false, 32768, 9, false},
		{AUTO, false, false, 1 << 20, 256, true},
		{AUTO, false, false, 1 << 20, 257, false},
		{ALWAYS, false, false, 1 << 20, 257, false},
		/* What is pinned already is worth it sooner. */
		{AUTO, false, true, 8191, 1, false},
		{AUTO, false, true, 8192, 1, true},
		{AUTO, false, true, 8192, 8, true},
		{AUTO, false, true, 8192, 9, false},
		{OFF, false, true, 1 << 20, 1, false},
		/* Forced, everything does that has a byte. */
		{ALWAYS, true, false, 1, 1, true},
		{ALWAYS, true, false, 1000, 1000, true},
		{ALWAYS, true, false, 0, 0, false},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__zerocopy_facts facts = {
			.mode = rows[i].mode,
			.forced = rows[i].forced,
			.registered = rows[i].registered,
			.threshold = 32768,
			.bytes = rows[i].bytes,
			.segments = rows[i].segments,
		};

		cr_expect_eq(sluice__zerocopy_fits(&facts), rows[i].fits, "row %zu", i);
	}
}

/*
 * A kernel that answers each send before the next, though more is queued behind each: how many of
 * them went by zero copy.
 */
static uint32_t send_many(struct sluice__zerocopy *zerocopy, struct sluice__zerocopy_prior *prior,
			  uint32_t sends, uint32_t mode, bool of_use)
{
	uint32_t tried = 0;

	for (uint32_t i = 0; i < sends; i++) {
		sluice__zerocopy_begin(zerocopy, prior, false);
		if (!sluice__zerocopy_wants(zerocopy, mode, true)) {
			sluice__zerocopy_passed(zerocopy);
			continue;
		}
		tried++;
		sluice__zerocopy_sent(zerocopy);
		if (mode == AUTO)
			sluice__zerocopy_learned(zerocopy, prior, of_use);
	}
	return tried;
}

Test(zerocopy, a_kernel_that_copies_is_found_out_within_four_sends)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	cr_assert_eq(send_many(&zerocopy, &prior, 1000, AUTO, false), SLUICE__ZEROCOPY_TRIALS);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_RESTING);
}

Test(zerocopy, it_is_tried_again_seldom_and_more_seldom)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};
	uint32_t before = 0, rest = SLUICE__ZEROCOPY_REST;

	send_many(&zerocopy, &prior, SLUICE__ZEROCOPY_TRIALS, AUTO, false);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(send_many(&zerocopy, &prior, rest, AUTO, false), 0,
			     "it was tried before its time");
		cr_assert_eq(send_many(&zerocopy, &prior, 1, AUTO, false), 1);
		cr_assert_geq(rest, before);
		before = rest;
		if (rest < (uint32_t)SLUICE__ZEROCOPY_REST << SLUICE__ZEROCOPY_REST_DOUBLINGS)
			rest *= 2;
	}
	cr_assert_eq(rest, 65536);
}

Test(zerocopy, a_kernel_that_does_not_copy_is_trusted_until_it_does)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	cr_assert_eq(send_many(&zerocopy, &prior, 10000, AUTO, true), 10000);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_WORKING);
	cr_assert_eq(send_many(&zerocopy, &prior, SLUICE__ZEROCOPY_PATIENCE - 1, AUTO, false),
		     SLUICE__ZEROCOPY_PATIENCE - 1);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_WORKING);
	cr_assert_eq(send_many(&zerocopy, &prior, 1, AUTO, true), 1);
	cr_assert_eq(send_many(&zerocopy, &prior, 1000, AUTO, false), SLUICE__ZEROCOPY_PATIENCE);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_RESTING);
}

Test(zerocopy, a_retry_that_is_of_use_brings_it_back)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	send_many(&zerocopy, &prior, SLUICE__ZEROCOPY_TRIALS + SLUICE__ZEROCOPY_REST, AUTO, false);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_RETRYING);
	cr_assert_eq(send_many(&zerocopy, &prior, 100, AUTO, true), 100);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_WORKING);
	cr_assert_eq(zerocopy.rests, 0);
}

Test(zerocopy, before_anything_is_known_no_more_than_four_are_on_their_way)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};
	uint32_t sent = 0;

	sluice__zerocopy_begin(&zerocopy, &prior, false);
	for (int i = 0; i < 100; i++) {
		if (!sluice__zerocopy_wants(&zerocopy, AUTO, true)) {
			sluice__zerocopy_passed(&zerocopy);
			continue;
		}
		sluice__zerocopy_sent(&zerocopy);
		sent++;
	}
	cr_assert_eq(sent, SLUICE__ZEROCOPY_TRIALS);
	sluice__zerocopy_unsent(&zerocopy);
	cr_assert(sluice__zerocopy_wants(&zerocopy, AUTO, true),
		  "a trial that told nothing counted");
	sluice__zerocopy_sent(&zerocopy);
	cr_assert_not(sluice__zerocopy_wants(&zerocopy, AUTO, true));
	for (int i = 0; i < SLUICE__ZEROCOPY_TRIALS - 1; i++)
		cr_assert_not(sluice__zerocopy_learned(&zerocopy, &prior, false));
	cr_assert(sluice__zerocopy_learned(&zerocopy, &prior, false));
	cr_assert_not(sluice__zerocopy_learned(&zerocopy, &prior, true), "news from before");
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_RESTING);
}

Test(zerocopy, always_heeds_refusals_and_nothing_else)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	cr_assert_eq(send_many(&zerocopy, &prior, 1000, ALWAYS, false), 1000);
	cr_assert(sluice__zerocopy_failed(&zerocopy, false));
	cr_assert_not(sluice__zerocopy_failed(&zerocopy, false), "it rests already");
	cr_assert_eq(send_many(&zerocopy, &prior, SLUICE__ZEROCOPY_REST, ALWAYS, false), 0);
	cr_assert_eq(send_many(&zerocopy, &prior, 1000, ALWAYS, false), 1000);
	cr_assert(sluice__zerocopy_failed(&zerocopy, true));
	cr_assert_not(sluice__zerocopy_failed(&zerocopy, true));
	cr_assert_eq(send_many(&zerocopy, &prior, 1000000, ALWAYS, false), 0);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_NEVER);
}

Test(zerocopy, what_is_impossible_is_not_tried_again)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	sluice__zerocopy_begin(&zerocopy, &prior, false);
	sluice__zerocopy_sent(&zerocopy);
	cr_assert(sluice__zerocopy_failed(&zerocopy, true));
	cr_assert_eq(send_many(&zerocopy, &prior, 1000000, AUTO, true), 0);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_NEVER);
}

/* Connections that live for so many sends each. */
static uint32_t short_lives(struct sluice__zerocopy_prior *prior, uint32_t sockets, uint32_t sends,
			    bool of_use)
{
	uint32_t tried = 0;

	for (uint32_t i = 0; i < sockets; i++) {
		struct sluice__zerocopy zerocopy = {0};

		tried += send_many(&zerocopy, prior, sends, AUTO, of_use);
		sluice__zerocopy_end(&zerocopy, prior);
	}
	return tried;
}

Test(zerocopy, sockets_learn_from_those_before_them)
{
	struct sluice__zerocopy_prior prior = {0};
	uint32_t tried;

	cr_assert_eq(short_lives(&prior, SLUICE__ZEROCOPY_PRIOR_STREAK, 10, false),
		     SLUICE__ZEROCOPY_PRIOR_STREAK * SLUICE__ZEROCOPY_TRIALS);
	tried = short_lives(&prior, 10 * SLUICE__ZEROCOPY_PRIOR_SKIP, 10, false);
	cr_assert_eq(tried, 10 * SLUICE__ZEROCOPY_TRIALS);
	/* One that is of use, and all try again. */
	short_lives(&prior, SLUICE__ZEROCOPY_PRIOR_SKIP, 10, true);
	cr_assert_eq(prior.streak, 0);
	cr_assert_eq(short_lives(&prior, 5, 10, true), 50);
}

Test(zerocopy, sockets_that_end_after_one_send_teach_those_behind_them)
{
	struct sluice__zerocopy_prior prior = {0};

	cr_assert_eq(short_lives(&prior, SLUICE__ZEROCOPY_PRIOR_STREAK, 1, false),
		     SLUICE__ZEROCOPY_PRIOR_STREAK);
	cr_assert_eq(short_lives(&prior, 10 * SLUICE__ZEROCOPY_PRIOR_SKIP, 1, false), 10);
	short_lives(&prior, SLUICE__ZEROCOPY_PRIOR_SKIP, 1, true);
	cr_assert_eq(prior.streak, 0);
	cr_assert_eq(short_lives(&prior, 5, 1, true), 5);
}

Test(zerocopy, what_is_sent_alone_is_not_tried)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	cr_assert_not(sluice__zerocopy_wants(&zerocopy, AUTO, false));
	cr_assert(sluice__zerocopy_wants(&zerocopy, ALWAYS, false));
	sluice__zerocopy_begin(&zerocopy, &prior, false);
	cr_assert_not(sluice__zerocopy_wants(&zerocopy, AUTO, false));
	cr_assert(sluice__zerocopy_wants(&zerocopy, AUTO, true));
	send_many(&zerocopy, &prior, 1, AUTO, true);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_WORKING);
	cr_assert(sluice__zerocopy_wants(&zerocopy, AUTO, false));
}

Test(zerocopy, nothing_goes_to_this_machine_by_itself)
{
	struct sluice__zerocopy_prior prior = {0};
	struct sluice__zerocopy zerocopy = {0};

	sluice__zerocopy_begin(&zerocopy, &prior, true);
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_LOCAL);
	cr_assert_eq(send_many(&zerocopy, &prior, 1000000, AUTO, false), 0);
	cr_assert(sluice__zerocopy_wants(&zerocopy, ALWAYS, false));
	sluice__zerocopy_end(&zerocopy, &prior);
	cr_assert_eq(prior.streak, 0, "it says nothing of other connections");
	cr_assert_eq(zerocopy.phase, SLUICE__ZEROCOPY_FRESH);
}

Test(zerocopy, the_streak_does_not_run_over)
{
	struct sluice__zerocopy_prior prior = {.streak = UINT16_MAX};
	struct sluice__zerocopy zerocopy = {.phase = SLUICE__ZEROCOPY_TRYING, .trials = 4};

	send_many(&zerocopy, &prior, 4, AUTO, false);
	cr_assert_eq(prior.streak, UINT16_MAX);
}
