/* SPDX-License-Identifier: MIT */
/* The send queue: what is gathered of it, as tables. */
#include "sendq_queue.h"

/* They change how the one queue gathers. */
CASES_ALONE

Test(gather, plain_buffers_leave_together_in_order)
{
	static const struct gather_row rows[] = {
		{"", ROOM, PLENTY, "nothing"},
		{"7", ROOM, PLENTY, "0+7 /1="},
		{"0", ROOM, PLENTY, "0+0 /1="},
		{"3 4 5", ROOM, PLENTY, "0+3 3+4 7+5 /3="},
		{"3 0 5", ROOM, PLENTY, "0+3 3+0 3+5 /3="},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, the_byte_budget_clips_the_last_record)
{
	static const struct gather_row rows[] = {
		{"7", ROOM, 7, "0+7 /1="},
		{"7", ROOM, 6, "0+6 /1"},
		{"7", ROOM, 1, "0+1 /1"},
		{"3 4 5", ROOM, 12, "0+3 3+4 7+5 /3="},
		{"3 4 5", ROOM, 11, "0+3 3+4 7+4 /3"},
		{"3 4 5", ROOM, 8, "0+3 3+4 7+1 /3"},
		{"3 4 5", ROOM, 7, "0+3 3+4 /2="},
		{"3 4 5", ROOM, 6, "0+3 3+3 /2"},
		{"(2,0,3) 4", ROOM, 5, "0+2 2+3 /1"},
		{"(2,0,3) 4", ROOM, 3, "0+2 2+1 /1"},
		{"(2,0,3) 4", ROOM, 7, "0+2 2+3 5+2 /2"},
		{"<m3,r2> 4", ROOM, 4, "0+3 3+1 /1"},
		{"9!", ROOM, 4, "0+4 /1"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, the_number_of_segments_is_bounded)
{
	static const struct gather_row rows[] = {
		{"3 4 5", 1, PLENTY, "0+3 /1="},
		{"3 4 5", 2, PLENTY, "0+3 3+4 /2="},
		{"3 4 5", 3, PLENTY, "0+3 3+4 7+5 /3="},
		{"(1,2,3) 4", 2, PLENTY, "0+1 1+2 /1"},
		{"(1,2,3) 4", 3, PLENTY, "0+1 1+2 3+3 /1"},
		{"4 (1,2,3)", 2, PLENTY, "0+4 4+1 /2"},
		{"4 (0,0,3)", 2, PLENTY, "0+4 4+3 /2"},
		{"<m1,m2,m3>", 2, PLENTY, "0+1 1+2 /1"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, more_than_1024_records_leave_1024_at_a_time)
{
	static const uint32_t left[] = {1024, 1024, 2};

	make_queue("");
	for (int i = 0; i < 2050; i++)
		add_records("1");
	for (size_t i = 0; i < COUNT(left); i++) {
		struct sluice__flight flight = gather_now(ROOM, PLENTY);

		cr_assert_eq(gather.count, left[i]);
		cr_assert_eq(flight.records, left[i]);
		cr_assert_eq(flight.bytes, left[i]);
		cr_assert(flight.plain);
		cr_assert_eq(sluice__sendq_settle(&queue, &flight, flight.bytes, &done), left[i]);
	}
	cr_assert_null(queue.list.head);
	cr_assert_eq(queue.bytes, 0);
	cr_assert_eq(done.added, 2050);
}

Test(gather, empty_segments_take_no_room)
{
	static const struct gather_row rows[] = {
		{"(0)", ROOM, PLENTY, "/1"},         {"(0,0,0)", ROOM, PLENTY, "/1"},
		{"(0,5,0)", ROOM, PLENTY, "0+5 /1"}, {"(0,5,0,0,6,0)", 2, PLENTY, "0+5 5+6 /1"},
		{"(0) 3", ROOM, PLENTY, "0+3 /2"},   {"3 (0) 4", ROOM, PLENTY, "0+3 3+4 /3"},
		{"<> 3", ROOM, PLENTY, "0+3 /2"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, more_takes_what_follows_along_and_never_stands_behind_one_without)
{
	static const struct gather_row rows[] = {
		{"3+", ROOM, PLENTY, "0+3 M/1"},
		{"3+ 4", ROOM, PLENTY, "0+3 3+4 /2"},
		{"3+ 4+", ROOM, PLENTY, "0+3 3+4 M/2"},
		{"3+ 4+ 5", ROOM, PLENTY, "0+3 3+4 7+5 /3"},
		{"3+ 4+ 5 6", ROOM, PLENTY, "0+3 3+4 7+5 12+6 /4"},
		{"3 4+", ROOM, PLENTY, "0+3 /1="},
		{"3 4 5+ 6", ROOM, PLENTY, "0+3 3+4 /2="},
		{"3+ 4 5+", ROOM, PLENTY, "0+3 3+4 /2"},
		{"(2,0,1)+ 4", ROOM, PLENTY, "0+2 2+1 3+4 /2"},
		{"<m3>+ 4", ROOM, PLENTY, "0+3 3+4 /2"},
		{"3 <m4>+ 5", ROOM, PLENTY, "0+3 /1="},
		{"3+ 4", ROOM, 3, "0+3 M/1"},
		{"3+ 4", ROOM, 2, "0+2 M/1"},
		{"3+ 4", 1, PLENTY, "0+3 M/1"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, of_an_urgent_record_the_last_byte_leaves_alone_and_marked)
{
	static const struct gather_row rows[] = {
		{"1!", ROOM, PLENTY, "0+1 O/1"},    {"5!", ROOM, PLENTY, "0+4 /1"},
		{"0!", ROOM, PLENTY, "/1"},         {"5! 3", ROOM, PLENTY, "0+4 /1"},
		{"1! 3", ROOM, PLENTY, "0+1 O/1"},  {"3 1!", ROOM, PLENTY, "0+3 /1="},
		{"3+ 5!", ROOM, PLENTY, "0+3 M/1"}, {"(2,0,3)!", ROOM, PLENTY, "0+2 2+2 /1"},
		{"(2,1)!", ROOM, PLENTY, "0+2 /1"}, {"(0,1)!", ROOM, PLENTY, "0+1 O/1"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, a_record_that_is_not_to_be_routed_leaves_alone)
{
	static const struct gather_row rows[] = {
		{"3@", ROOM, PLENTY, "0+3 R/1"},           {"3@ 4", ROOM, PLENTY, "0+3 R/1"},
		{"3 4@ 5", ROOM, PLENTY, "0+3 /1="},       {"3@ 4@", ROOM, PLENTY, "0+3 R/1"},
		{"(2,3)@ 4", ROOM, PLENTY, "0+2 2+3 R/1"}, {"3+ 4@", ROOM, PLENTY, "0+3 M/1"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, a_partial_record_is_gathered_with_the_others)
{
	static const struct gather_row rows[] = {
		{"3~", ROOM, PLENTY, "0+3 /1"},
		{"3~ 4", ROOM, PLENTY, "0+3 3+4 /2"},
		{"3 4~ 5", ROOM, PLENTY, "0+3 3+4 7+5 /3"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, packets_leave_up_to_their_next_file)
{
	static const struct gather_row rows[] = {
		{"<>", ROOM, PLENTY, "/1"},
		{"<m3>", ROOM, PLENTY, "0+3 /1"},
		{"<m3,r4> 5", ROOM, PLENTY, "0+3 3+4 7+5 /2"},
		{"5 <m3,r4> 6", ROOM, PLENTY, "0+5 5+3 8+4 12+6 /3"},
		{"<f9>", ROOM, PLENTY, "file"},
		{"<f9,m3> 5", ROOM, PLENTY, "file"},
		/* What is sent before a file is held back for it, and nothing else. */
		{"<m3,f9> 5", ROOM, PLENTY, "0+3 M/1"},
		{"<m3,r2,f9,m4> 5", ROOM, PLENTY, "0+3 3+2 M/1"},
		{"<m3,f9> 5", ROOM, 3, "0+3 M/1"},
		{"<m3,f9> 5", ROOM, 2, "0+2 /1"},
		{"5 <m3,f9>", ROOM, PLENTY, "0+5 /1="},
		{"5 <f9>", ROOM, PLENTY, "0+5 /1="},
		{"5+ <m3,f9>", ROOM, PLENTY, "0+5 M/1"},
		{"<>? 5", ROOM, PLENTY, "beyond"},
		{"<m3>? 5", ROOM, PLENTY, "beyond"},
		{"5 <m3>? 6", ROOM, PLENTY, "0+5 /1="},
		{"5+ <m3>? 6", ROOM, PLENTY, "0+5 M/1"},
		{"5+ <m3>?+ 6", ROOM, PLENTY, "0+5 M/1"},
	};

	check_gather(rows, COUNT(rows));
}

Test(gather, a_disconnect_waits_for_its_turn_and_an_end_lets_nothing_follow)
{
	static const struct gather_row rows[] = {
		{"x", ROOM, PLENTY, "disconnect"},        {"x 3", ROOM, PLENTY, "disconnect"},
		{"3 4 x 5", ROOM, PLENTY, "0+3 3+4 /2="}, {"3+ x", ROOM, PLENTY, "0+3 M/1"},
		{"<m3>$ 4", ROOM, PLENTY, "0+3 /1"},      {"3 <m4>$ 5", ROOM, PLENTY, "0+3 3+4 /2"},
		{"3 <>$ 5", ROOM, PLENTY, "0+3 /2"},      {"<f4>$ 5", ROOM, PLENTY, "file"},
	};

	check_gather(rows, COUNT(rows));
}
