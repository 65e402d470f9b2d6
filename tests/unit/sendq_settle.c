/* SPDX-License-Identifier: MIT */
/* The send queue: what was taken of it, and how its records end. */
#include "sendq_queue.h"

#include <errno.h>

/* ---- settle ---- */

struct settle_row {
	const char *queue;
	uint64_t taken;
	const char *done;
	const char *next; /* gathered after it */
};

static void check_settle(const struct settle_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sluice__flight flight;
		uint32_t finished;

		make_queue(rows[i].queue);
		flight = gather_now(ROOM, PLENTY);
		finished = sluice__sendq_settle(&queue, &flight, rows[i].taken, &done);
		cr_expect_str_eq(done_words(), rows[i].done, "\"%s\", %llu taken: %s, not %s",
				 rows[i].queue, (unsigned long long)rows[i].taken, done_words(),
				 rows[i].done);
		cr_expect_eq(finished, done.added);
		assert_list_sound();
		gather_now(ROOM, PLENTY);
		cr_expect_str_eq(gathered_words(), rows[i].next,
				 "\"%s\", %llu taken, then: %s, not %s", rows[i].queue,
				 (unsigned long long)rows[i].taken, gathered_words(), rows[i].next);
	}
}

Test(settle, a_short_count_finishes_whole_records_and_leaves_the_rest)
{
	static const struct settle_row rows[] = {
		{"3 4 5", 12, "0:3 1:4 2:5", "nothing"},
		{"3 4 5", 11, "0:3 1:4", "11+1 /1"},
		{"3 4 5", 8, "0:3 1:4", "8+4 /1"},
		{"3 4 5", 7, "0:3 1:4", "7+5 /1="},
		{"3 4 5", 6, "0:3", "6+1 7+5 /2"},
		{"3 4 5", 3, "0:3", "3+4 7+5 /2="},
		{"3 4 5", 1, "", "1+2 3+4 7+5 /3"},
		{"3 4 5", 0, "", "0+3 3+4 7+5 /3="},
		{"0 4", 0, "0:0", "0+4 /1="},
		{"3 0 4", 3, "0:3 1:0", "3+4 /1="},
		/* Behind a broken record an empty one takes no segment any more. */
		{"3 0 4", 2, "", "2+1 3+4 /3"},
		{"0", 0, "0:0", "nothing"},
	};

	check_settle(rows, COUNT(rows));
}

Test(settle, the_cursor_of_a_list_stands_where_the_kernel_stopped)
{
	static const struct settle_row rows[] = {
		{"(2,0,3,4)", 0, "", "0+2 2+3 5+4 /1"},
		{"(2,0,3,4)", 1, "", "1+1 2+3 5+4 /1"},
		{"(2,0,3,4)", 2, "", "2+3 5+4 /1"},
		{"(2,0,3,4)", 3, "", "3+2 5+4 /1"},
		{"(2,0,3,4)", 5, "", "5+4 /1"},
		{"(2,0,3,4)", 8, "", "8+1 /1"},
		{"(2,0,3,4)", 9, "0:9", "nothing"},
		{"(0,0)", 0, "0:0", "nothing"},
		{"3 (2,0,3) 4", 6, "0:3", "6+2 8+4 /2"},
		{"(2,3)!", 4, "", "4+1 O/1"},
		{"(2,3)!", 3, "", "3+1 /1"},
		{"5!", 4, "", "4+1 O/1"},
		{"5!", 2, "", "2+2 /1"},
		{"1! 3", 1, "0:1", "1+3 /1="},
	};

	check_settle(rows, COUNT(rows));
}

Test(settle, a_partial_record_ends_with_the_first_bytes_taken)
{
	static const struct settle_row rows[] = {
		{"5~ 4", 0, "", "0+5 5+4 /2"},       {"5~ 4", 1, "0:1", "5+4 /1="},
		{"5~ 4", 4, "0:4", "5+4 /1="},       {"5~ 4", 5, "0:5", "5+4 /1="},
		{"3 5~ 4", 3, "0:3", "3+5 8+4 /2"},  {"3 5~ 4", 4, "0:3 1:1", "8+4 /1="},
		{"3 5~ 4", 2, "", "2+1 3+5 8+4 /3"}, {"(2,3)~ 4", 3, "0:3", "5+4 /1="},
		{"0~ 4", 0, "0:0", "0+4 /1="},
	};

	check_settle(rows, COUNT(rows));
}

Test(settle, packets_stop_at_their_file_and_go_on_behind_it)
{
	static const struct settle_row rows[] = {
		{"<m3,r2> 4", 9, "0:5 1:4", "nothing"}, {"<m3,r2> 4", 4, "", "4+1 5+4 /2"},
		{"<m3,r2> 4", 5, "0:5", "5+4 /1="},     {"<m3,f9> 4", 3, "", "file"},
		{"<m3,f9> 4", 2, "", "2+1 M/1"},        {"<> 4", 0, "0:0", "0+4 /1="},
		{"<m3>$ 4", 3, "0:3", "3+4 /1="},
	};

	check_settle(rows, COUNT(rows));
}

Test(settle, a_file_advances_by_itself_and_the_trailer_follows)
{
	struct sluice__flight flight;
	struct sluice_args *args;

	make_queue("<m3,f9,m4> 5");
	args = &records[0].args;
	cr_assert_eq(queue.bytes, 3 + 4 + 5);
	flight = gather_now(ROOM, PLENTY);
	cr_assert_eq(sluice__sendq_settle(&queue, &flight, 3, &done), 0);
	cr_assert_eq(queue.bytes, 4 + 5);
	cr_assert_not(sluice__sendq_advance_file(args, 8));
	gather_now(ROOM, PLENTY);
	cr_assert_str_eq(gathered_words(), "file");
	cr_assert_eq(records[0].packets.at, 8);
	cr_assert_not(sluice__sendq_advance_file(args, 1));
	cr_assert_eq(queue.bytes, 4 + 5);
	flight = gather_now(ROOM, PLENTY);
	cr_assert_str_eq(gathered_words(), "12+4 16+5 /2");
	cr_assert_eq(sluice__sendq_settle(&queue, &flight, 9, &done), 2);
	cr_assert_str_eq(done_words(), "0:16 1:5");
	cr_assert_eq(queue.bytes, 0);
}

Test(settle, a_file_at_the_end_of_its_record_finishes_it_and_the_record_stays)
{
	make_queue("<f9> 5");
	cr_assert_not(sluice__sendq_advance_file(&records[0].args, 4));
	cr_assert(sluice__sendq_advance_file(&records[0].args, 5));
	cr_assert_eq(sluice__sendq_head(&queue), &records[0].args);
	sluice__sendq_finish_head(&queue, &done, SLUICE_ERROR_SUCCESS, 0, 9);
	cr_assert_str_eq(done_words(), "0:9");
	gather_now(ROOM, PLENTY);
	cr_assert_str_eq(gathered_words(), "9+5 /1=");
}

/* Its records are spliced, not visited: nothing of theirs is written. */
Test(settle, a_plain_transmission_that_was_taken_whole_leaves_its_records_untouched)
{
	struct sluice__flight flight;

	make_queue("3 4 5 6");
	flight = gather_now(3, PLENTY);
	cr_assert(flight.plain);
	add_records("7");
	cr_assert_eq(sluice__sendq_settle(&queue, &flight, 12, &done), 3);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(records[i].args.run.op_flags, 0);
		cr_expect_eq(records[i].args.run.sent, 0);
	}
	cr_assert_str_eq(done_words(), "0:3 1:4 2:5");
	cr_assert_eq(done.end, &records[2].args.run.next);
	cr_assert_eq(done.added, 3);
	cr_assert_eq(queue.bytes, 13);
	assert_list_sound();
	gather_now(ROOM, PLENTY);
	cr_assert_str_eq(gathered_words(), "12+6 18+7 /2=");
}

/* ---- fail, finish, remove ---- */

Test(fail, the_first_reports_with_its_bytes_and_the_rest_what_they_are_told)
{
	static const struct {
		const char *queue;
		uint64_t taken;
		const char *done;
	} rows[] = {
		{"3 4 5", 0, "0:0=10054/104 1:0=10058/32 2:0=10058/32"},
		{"3 4 5", 2, "0:2=10054/104 1:0=10058/32 2:0=10058/32"},
		{"3 4 5", 5, "0:3 1:2=10054/104 2:0=10058/32"},
		{"(2,3) <m1,f9> x", 4, "0:4=10054/104 1:0=10058/32 2:0=10058/32"},
		{"<m3,f9> 4", 3, "0:3=10054/104 1:0=10058/32"},
		{"3", 0, "0:0=10054/104"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sluice__flight flight;
		uint32_t settled, failed;

		make_queue(rows[i].queue);
		flight = gather_now(ROOM, PLENTY);
		settled = sluice__sendq_settle(&queue, &flight, rows[i].taken, &done);
		failed = sluice__sendq_fail(&queue, SLUICE_ERROR_CONNECTION_RESET, ECONNRESET,
					    SLUICE_ERROR_SHUTDOWN, EPIPE, &done);
		cr_expect_str_eq(done_words(), rows[i].done, "\"%s\": %s, not %s", rows[i].queue,
				 done_words(), rows[i].done);
		cr_expect_eq(settled + failed, record_count);
		cr_expect_eq(done.added, record_count);
		cr_expect_null(queue.list.head);
		cr_expect_eq(queue.bytes, 0, "\"%s\": %llu bytes left", rows[i].queue,
			     (unsigned long long)queue.bytes);
	}
}

Test(fail, an_empty_queue_has_nothing_to_fail)
{
	make_queue("");
	cr_assert_eq(sluice__sendq_fail(&queue, SLUICE_ERROR_CONNECTION_RESET, ECONNRESET,
					SLUICE_ERROR_SHUTDOWN, EPIPE, &done),
		     0);
	cr_assert_null(done.first);
}

Test(finish_head, takes_the_rest_of_the_record_off_the_bytes)
{
	make_queue("<m3,f9,m4>? 5");
	sluice__sendq_finish_head(&queue, &done, SLUICE_ERROR_INVALID_ARGUMENT, EINVAL, 0);
	cr_assert_str_eq(done_words(), "0:0=10022/22");
	cr_assert_eq(queue.bytes, 5);
	assert_list_sound();
}

Test(remove, any_record_may_leave_wherever_it_stands)
{
	static const struct {
		int which;
		uint64_t bytes;
		const char *gathered;
	} rows[] = {
		{0, 9, "3+4 7+5 /2="},
		{1, 8, "0+3 7+5 /2="},
		{2, 7, "0+3 3+4 /2="},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		make_queue("3 4 5");
		sluice__sendq_remove(&queue, &records[rows[i].which].args);
		cr_expect_eq(queue.bytes, rows[i].bytes);
		assert_list_sound();
		gather_now(ROOM, PLENTY);
		cr_expect_str_eq(gathered_words(), rows[i].gathered);
	}
}

Test(remove, a_record_that_was_begun_gives_up_only_its_rest)
{
	struct sluice__flight flight;

	make_queue("3 (4,5) <m6,r2,f7,m1>");
	flight = gather_now(ROOM, PLENTY);
	cr_assert_eq(sluice__sendq_settle(&queue, &flight, 8, &done), 1);
	cr_assert_eq(queue.bytes, 4 + 7);
	sluice__sendq_remove(&queue, &records[1].args);
	cr_assert_eq(queue.bytes, 7);
	flight = gather_now(ROOM, PLENTY);
	cr_assert_eq(sluice__sendq_settle(&queue, &flight, 7, &done), 0);
	cr_assert_eq(queue.bytes, 1);
	sluice__sendq_remove(&queue, &records[2].args);
	cr_assert_eq(queue.bytes, 0);
	cr_assert_null(queue.list.head);
	assert_list_sound();
}
