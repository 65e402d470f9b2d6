/* SPDX-License-Identifier: MIT */
/* The send queue: what is copied, and what is listed when it is pushed. */
#include "sendq_queue.h"

#include <errno.h>
#include <stdio.h>

/* ---- copies ---- */

/* The gathered bytes are those of the records, one behind the other. */
static void assert_bytes(void)
{
	const struct sluice_args *args = queue.list.head;
	uint64_t at = 0;

	for (uint32_t i = 0; i < gather.count; i++) {
		const char *base = gather.segments[i].iov_base;

		for (size_t k = 0; k < gather.segments[i].iov_len; k++, at++) {
			while (at == args->run.total) {
				args = args->run.next;
				at = 0;
			}
			cr_assert_eq(base[k], ((const char *)args->run.base)[at],
				     "byte %llu of record %td", (unsigned long long)at,
				     record_of(args) - records);
		}
	}
	cr_assert_eq(args, gather.last);
	cr_assert_eq(at, args->run.total);
}

Test(copies, small_records_are_copied_side_by_side_and_larger_ones_listed)
{
	static const struct gather_row rows[] = {
		{"3", ROOM, PLENTY, "*3 /1="},
		{"3 4 5", ROOM, PLENTY, "*12 /3="},
		{"3 . 4 . 5", ROOM, PLENTY, "*12 /3="},
		{"3 . 0 . 5", ROOM, PLENTY, "*8 /3="},
		{"1 . 7 . 8 . 15 . 16 . 31 . 32 . 33 . 63 . 64 . 65 . 255", ROOM, PLENTY,
		 "*590 /12="},
		{"256 . 257", ROOM, PLENTY, "*256 257+257 /2="},
		{"3 . 300 . 4 . 5", ROOM, PLENTY, "*3 4+300 *9 /4="},
		{"300 300 . 300", ROOM, PLENTY, "0+600 601+300 /3="},
		{"300 4 . 5", ROOM, PLENTY, "0+304 *5 /3="},
	};

	copies_space = sizeof copies;
	check_gather(rows, COUNT(rows));
	for (size_t i = 0; i < COUNT(rows); i++) {
		make_queue(rows[i].queue);
		gather_now(ROOM, PLENTY);
		assert_bytes();
	}
}

Test(copies, what_is_not_plain_is_listed_behind_them)
{
	static const struct gather_row rows[] = {
		{"3 (1,2) 4", ROOM, PLENTY, "*3 3+1 4+2 6+4 /3"},
		{"3 . 4~ 5", ROOM, PLENTY, "*3 4+4 8+5 /3"},
		{"3 . 4+", ROOM, PLENTY, "*3 /1="},
		{"3+ 4", ROOM, PLENTY, "0+3 3+4 /2"},
		{"3 . <m3,f9>", ROOM, PLENTY, "*3 /1="},
	};

	copies_space = sizeof copies;
	check_gather(rows, COUNT(rows));
}

Test(copies, segments_and_budget_bound_them_as_ever)
{
	static const struct gather_row rows[] = {
		{"3 . 4 . 5", ROOM, 7, "*7 /2="},     {"3 . 4 . 5", ROOM, 8, "*7 9+1 /3"},
		{"3 . 300 . 4", 1, PLENTY, "*3 /1="}, {"3 . 300 . 4", 2, PLENTY, "*3 4+300 /2="},
		{"3 . 4 . 5", 1, PLENTY, "*12 /3="},
	};

	copies_space = sizeof copies;
	check_gather(rows, COUNT(rows));
}

Test(copies, without_space_for_one_the_rest_waits)
{
	static const struct gather_row rows[] = {
		{"3 . 4 . 5 . 6", ROOM, PLENTY, "*7 /2="},
		{"3 . 300 . 4 . 5", ROOM, PLENTY, "*3 4+300 *4 /3="},
	};

	copies_space = 8;
	check_gather(rows, COUNT(rows));
}

/* A short count: what is left is sent from the record's own memory, or copied anew if it is whole. */
Test(copies, a_short_count_goes_on_in_the_records_memory)
{
	static const struct {
		uint64_t taken;
		const char *done, *next;
	} rows[] = {
		{0, "", "*12 /3="},        {2, "", "2+1 4+4 9+5 /3"},      {3, "0:3", "*9 /2="},
		{8, "0:3 1:4", "10+4 /1"}, {12, "0:3 1:4 2:5", "nothing"},
	};

	copies_space = sizeof copies;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (int listed = 0; listed < 2; listed++) {
			struct sluice__flight flight;

			prefills = listed;
			make_queue("3 . 4 . 5");
			flight = gather_now(ROOM, PLENTY);
			cr_expect_eq(was_prefilled, listed);
			cr_expect_str_eq(gathered_words(), "*12 /3=");
			sluice__sendq_settle(&queue, &flight, rows[i].taken, &done);
			cr_expect_str_eq(done_words(), rows[i].done);
			gather_now(ROOM, PLENTY);
			cr_expect_not(was_prefilled);
			cr_expect_str_eq(gathered_words(), rows[i].next, "%llu taken: %s",
					 (unsigned long long)rows[i].taken, gathered_words());
		}
	}
}

/* ---- prefilled ---- */

/* What is listed when it is pushed is what gathering would list, copies and neighbours apart. */
static void check_draft(const char *description, const char *listed, const char *gathered)
{
	prefills = true;
	make_queue(description);
	gather_now(ROOM, 1000);
	cr_assert_eq(was_prefilled, listed != NULL, "\"%s\"", description);
	if (listed) {
		cr_assert_str_eq(gathered_words(), listed, "\"%s\": %s", description,
				 gathered_words());
		assert_bytes();
	}
	cr_assert_null(queue.prefilled);
	gather_now(ROOM, 1000);
	cr_assert(!was_prefilled, "a prefilled is taken once");
	cr_assert_str_eq(gathered_words(), gathered, "\"%s\"", description);
}

Test(prefilled, whole_plain_buffers_are_listed_when_they_are_pushed)
{
	check_draft("3", "0+3 /1=", "0+3 /1=");
	check_draft("300 . 400 . 260", "0+300 301+400 702+260 /3=", "0+300 301+400 702+260 /3=");
}

Test(prefilled, what_is_adjacent_in_memory_is_one_segment)
{
	check_draft("3 4 5", "0+12 /3=", "0+3 3+4 7+5 /3=");
	check_draft("300 400 . 260", "0+700 701+260 /3=", "0+300 300+400 701+260 /3=");
	check_draft("300 4 . 260", "0+304 305+260 /3=", "0+300 300+4 305+260 /3=");
}

Test(prefilled, small_records_are_copied_the_first_only_if_others_are)
{
	check_draft("3 . 4 . 5", "*12 /3=", "0+3 4+4 9+5 /3=");
	check_draft("3 4 . 5 . 6", "*18 /4=", "0+3 3+4 8+5 14+6 /4=");
	check_draft("3 . 300 . 4 . 5", "0+3 4+300 *9 /4=", "0+3 4+300 305+4 310+5 /4=");
	check_draft("300 . 4 . 5", "0+300 *9 /3=", "0+300 301+4 306+5 /3=");
	check_draft("256 . 0 . 256 . 257", "*512 515+257 /4=", "0+256 257+0 258+256 515+257 /4=");
}

Test(prefilled, one_that_is_over_the_budget_is_gathered_instead)
{
	check_draft("600 401", NULL, "0+600 600+400 /2");
}

Test(prefilled, a_record_that_is_not_plain_drops_it)
{
	check_draft("(3,4) 5", NULL, "0+3 3+4 7+5 /2");
	check_draft("3 4~ 5", NULL, "0+3 3+4 7+5 /3");
	check_draft("3 x", NULL, "0+3 /1=");
}

Test(prefilled, begins_with_a_lone_record_and_not_behind_others)
{
	check_draft("(3) 4", NULL, "0+3 3+4 /2");
	prefills = true;
	make_queue("3");
	cr_assert(queue.prefilled == prefilled.segments + 1);
	sluice__sendq_remove(&queue, queue.list.head);
	cr_assert_null(queue.prefilled);
	add_records("4");
	cr_assert(queue.prefilled == prefilled.segments + 1, "the next lone one begins anew");
}

Test(prefilled, whatever_leaves_the_queue_drops_it)
{
	prefills = true;
	make_queue("3 4 5");
	sluice__sendq_remove(&queue, queue.list.head->run.next);
	cr_assert_null(queue.prefilled);
	make_queue("3 4 5");
	sluice__sendq_finish_head(&queue, &done, SLUICE_ERROR_SUCCESS, 0, 0);
	cr_assert_null(queue.prefilled);
	make_queue("3 4 5");
	sluice__sendq_fail(&queue, SLUICE_ERROR_SHUTDOWN, EPIPE, SLUICE_ERROR_SHUTDOWN, EPIPE,
			   &done);
	cr_assert_null(queue.prefilled);
}

/* So many records of so many bytes, scattered: the first `fit` are listed, and the others wait. */
static void check_full(uint32_t count, uint32_t bytes, uint32_t fit, uint32_t segments)
{
	char words[16];
	struct sluice__flight flight;

	prefills = true;
	make_queue("");
	snprintf(words, sizeof words, "%u .", bytes);
	for (uint32_t i = 0; i < count; i++)
		add_records(words);
	flight = gather_now(ROOM, PLENTY);
	cr_assert(was_prefilled && gather.plain);
	cr_assert_eq(gather.count, segments);
	cr_assert_eq(gather.records, fit);
	cr_assert_eq(gather.bytes, (uint64_t)fit * bytes);
	cr_assert_eq(gather.last, &records[fit - 1].args);
	assert_bytes();
	cr_assert_eq(sluice__sendq_settle(&queue, &flight, flight.bytes, &done), fit);
	cr_assert_eq(queue.bytes, (uint64_t)(count - fit) * bytes);
	gather_now(ROOM, PLENTY);
	cr_assert(!was_prefilled && gather.records == count - fit);
}

Test(prefilled, when_its_segments_are_used_up_the_rest_is_gathered_behind_it)
{
	check_full(1024, 257, 1024, 1024);
	check_full(1025, 257, 1024, 1024);
	check_full(1500, 257, 1024, 1024);
}

Test(prefilled, when_no_copy_fits_the_rest_is_gathered_behind_it)
{
	check_full(1025, 256, 1025, 1);
	check_full(1026, 256, 1025, 1);
	check_full(1500, 256, 1025, 1);
	check_full(2000, 200, 1311, 1);
}

Test(prefilled, what_is_listed_and_full_is_dropped_as_well)
{
	prefills = true;
	make_queue("");
	for (int i = 0; i < 1100; i++)
		add_records("257 .");
	cr_assert_not_null(queue.prefilled);
	sluice__sendq_remove(&queue, &records[1050].args);
	cr_assert_null(queue.prefilled);
	add_records("257");
	gather_now(ROOM, PLENTY);
	cr_assert(!was_prefilled && gather.records == 1024);
}
