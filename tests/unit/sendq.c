/* SPDX-License-Identifier: MIT */
/*
 * The send queue: tables, and a randomised run against a model that moves single bytes.
 *
 * A queue is written down in words, one a record:
 *
 *   7           a buffer of 7 bytes
 *   (2,0,5)     a list of segments
 *   <m3,f9,r2>  packets: 3 bytes of memory, 9 of a file, 2 of a small file that was read
 *   x           a disconnect
 *   .           no record: a byte that is nobody's, so that the next record is not adjacent
 *
 * and behind it, where the record has it: + more, ! out of band, ~ partial, @ do not route, $ ends
 * the stream, ? beyond its file. All bytes lie one behind the other in one array, those of files
 * included, so that the address of a byte tells its place in the stream.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "core/sendq.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RECORDS 2100
#define PIECES 8
#define BYTES ((uint64_t)1 << 19)
#define SMALL SLUICE__COPIED_MAX
#define ROOM 1024
#define PLENTY ((uint64_t)1 << 20)

struct record {
	struct sluice_args args;
	struct sluice__packets packets;
	struct iovec segments[PIECES];
	uint64_t from; /* place of its first byte */
	uint64_t to;   /* behind its last one */
	uint64_t at;   /* the model's: of the first byte that is not gone */
	bool queued;   /* the model's */
};

/* How a record should have ended. */
struct ended {
	struct record *record;
	int32_t error, native;
	uint64_t bytes;
};

static char stream[BYTES];
static char kinds[BYTES]; /* of each byte: m, r, f as in a packet; m for buffers and lists */
static struct record records[RECORDS];
static uint32_t record_count;
static uint64_t stream_end;

static struct sluice__sendq queue;
static struct sluice__chain done;
static struct sluice__gather gather;
static struct iovec room[ROOM];
static struct sluice__prefilled prefilled;
static char copies[1 << 16];
static uint64_t copies_space; /* what gathering may copy into; 0: it may not copy */
static bool prefills;         /* a lone plain record begins one */
static bool was_prefilled;    /* what was gathered came from one */
static const char *described; /* for messages */

/* ---- a queue from its description ---- */

static uint64_t read_number(const char **at)
{
	char *end;
	uint64_t number = strtoull(*at, &end, 10);

	cr_assert_neq(end, *at, "a number is missing in \"%s\" at \"%s\"", described, *at);
	*at = end;
	return number;
}

/* Gives the record the next bytes of the stream. */
static char *take_bytes(struct record *record, uint64_t count, char kind)
{
	char *base = stream + stream_end;

	cr_assert(stream_end + count <= BYTES);
	memset(kinds + stream_end, kind, count);
	stream_end += count;
	record->to = stream_end;
	return base;
}

static void read_list(struct record *record, const char **at)
{
	struct sluice_args *args = &record->args;

	args->run.base = record->segments;
	args->run.op_flags |= SLUICE__OP_LIST;
	do {
		struct iovec *segment = &record->segments[args->run.count++];

		++*at;
		segment->iov_len = read_number(at);
		segment->iov_base = segment->iov_len ? take_bytes(record, segment->iov_len, 'm')
						     : NULL;
		args->run.total += segment->iov_len;
	} while (**at == ',');
	cr_assert_eq(*(*at)++, ')');
}

static void read_packets(struct record *record, const char **at)
{
	struct sluice__packets *packets = &record->packets;

	record->args.run.op_flags |= SLUICE__OP_PACKETS;
	record->args.rare.side = packets;
	packets->parts = packets->inline_parts;
	while (*++*at != '>') {
		struct sluice__part *part = &packets->parts[packets->count++];
		char kind = *(*at)++;

		cr_assert(packets->count <= SLUICE__PARTS_INLINE);
		part->kind = kind == 'm'   ? SLUICE__PART_MEMORY
			     : kind == 'r' ? SLUICE__PART_READ
					   : SLUICE__PART_FILE;
		part->count = read_number(at);
		part->base = take_bytes(record, part->count, kind);
		if (**at == '>')
			break;
	}
	++*at;
}

static void read_flags(struct record *record, const char **at)
{
	static const struct {
		char letter;
		uint32_t extra;
	} flags[] = {
		{'+', SLUICE__OP_MORE},
		{'!', SLUICE__OP_OUT_OF_BAND},
		{'@', SLUICE__OP_DONT_ROUTE},
		{'~', SLUICE__OP_PARTIAL},
		{'$', SLUICE__OP_THEN_DISCONNECT},
	};

	for (; **at && **at != ' '; ++*at) {
		if (**at == '?')
			record->packets.beyond = true;
		for (size_t i = 0; i < COUNT(flags); i++) {
			if (flags[i].letter == **at)
				record->args.run.op_flags |= flags[i].extra;
		}
	}
}

/* As a start does it. */
static void push(struct record *record)
{
	if (record->args.run.op_flags)
		sluice__sendq_push(&queue, &record->args);
	else if (sluice__sendq_is_listed(&queue))
		cr_assert_eq(sluice__sendq_push_listed(&queue, &record->args), 1);
	else
		sluice__sendq_push_unlisted(&queue, &record->args);
	queue.bytes += sluice__sendq_memory(&record->args);
	record->queued = true;
	if (prefills && !record->args.run.op_flags && queue.list.head == &record->args)
		sluice__sendq_begin_prefilled(&queue, &prefilled);
}

static void add_record(const char **at)
{
	struct record *record = &records[record_count++];

	cr_assert(record_count <= RECORDS);
	memset(record, 0, sizeof *record);
	record->from = record->to = record->at = stream_end;
	if (**at == '(') {
		read_list(record, at);
	} else if (**at == '<') {
		read_packets(record, at);
	} else if (**at == 'x') {
		++*at;
		record->args.run.op_flags |= SLUICE__OP_DISCONNECT;
	} else {
		record->args.run.total = read_number(at);
		record->args.run.base = take_bytes(record, record->args.run.total, 'm');
	}
	read_flags(record, at);
	push(record);
}

static void add_records(const char *description)
{
	described = description;
	while (*description) {
		if (*description == ' ' || *description == '.')
			stream_end += *description++ == '.';
		else
			add_record(&description);
	}
}

static void fill_stream(void)
{
	uint32_t mixed = 1;

	for (uint64_t i = 0; i < BYTES; i++) {
		mixed = mixed * 1664525 + 1013904223;
		stream[i] = (char)(mixed >> 24);
	}
}

static void make_queue(const char *description)
{
	if (!stream[0])
		fill_stream();
	record_count = 0;
	stream_end = 0;
	sluice__sendq_init(&queue);
	sluice__chain_init(&done);
	add_records(description);
}

static struct record *record_of(const struct sluice_args *args)
{
	return (struct record *)(uintptr_t)args;
}

/* ---- what came of it ---- */

static struct sluice__flight gather_now(uint32_t segments, uint64_t budget)
{
	gather.segments = NULL;
	gather.room = segments;
	gather.budget = budget;
	was_prefilled = segments == ROOM && sluice__sendq_take_prefilled(&queue, &gather);
	if (!was_prefilled) {
		gather.segments = room;
		gather.copies = copies_space ? copies : NULL;
		gather.copies_end = copies + copies_space;
		sluice__sendq_gather(&queue, &gather);
		cr_assert(gather.segments == room, "what was given in was changed");
	}
	cr_assert(gather.room == segments && gather.budget == budget,
		  "what was given in was changed");
	return (struct sluice__flight){gather.last, gather.bytes, gather.records, gather.plain};
}

/* Not the callers' memory. */
static bool is_copy(const struct iovec *segment)
{
	const char *base = segment->iov_base;

	return base < stream || base >= stream + BYTES;
}

/*
 * The gathered in words: place+length of each segment, *length of a copy; then M, O, R for the flags;
 * /records; and = where it is plain.
 */
static const char *gathered_words(void)
{
	static const char *const others[] = {
		[SLUICE__GATHERED_NOTHING] = "nothing",
		[SLUICE__GATHERED_FILE] = "file",
		[SLUICE__GATHERED_BEYOND] = "beyond",
		[SLUICE__GATHERED_DISCONNECT] = "disconnect",
	};
	static char words[4096];
	int length = 0;

	if (gather.what != SLUICE__GATHERED_MEMORY)
		return others[gather.what];
	for (uint32_t i = 0; i < gather.count && length < 4000; i++) {
		const struct iovec *segment = &gather.segments[i];

		if (!is_copy(segment))
			length += snprintf(words + length, sizeof words - (size_t)length, "%td",
					   (char *)segment->iov_base - stream);
		length += snprintf(words + length, sizeof words - (size_t)length, "%c%zu ",
				   is_copy(segment) ? '*' : '+', segment->iov_len);
	}
	snprintf(words + length, sizeof words - (size_t)length, "%s%s%s/%u%s",
		 gather.flags & MSG_MORE ? "M" : "", gather.flags & MSG_OOB ? "O" : "",
		 gather.flags & MSG_DONTROUTE ? "R" : "", gather.records, gather.plain ? "=" : "");
	return words;
}

/* As the handler would see it: a record that left without a word is a success of all its bytes. */
static struct ended ended_as(const struct sluice_args *args)
{
	struct ended ended = {record_of(args), SLUICE_ERROR_SUCCESS, 0, args->run.total};

	if (args->run.op_flags & SLUICE__OP_HAS_RESULT) {
		ended.error = (int32_t)(args->rare.segment_offset >> 32);
		ended.native = (int32_t)args->rare.segment_offset;
		ended.bytes = args->run.sent;
	}
	return ended;
}

/* The done in words: number of the record, its bytes, and its error unless Success. */
static const char *done_words(void)
{
	static char words[1024];
	int length = 0;

	words[0] = 0;
	for (struct sluice_args *args = done.first; args; args = args->run.next) {
		struct ended ended = ended_as(args);

		length += snprintf(words + length, sizeof words - (size_t)length, "%s%td:%llu",
				   length ? " " : "", record_of(args) - records,
				   (unsigned long long)ended.bytes);
		if (ended.error)
			length += snprintf(words + length, sizeof words - (size_t)length, "=%d/%d",
					   ended.error, ended.native);
	}
	return words;
}

/* Every link is what it says it is, and the end is where the next one will be linked. */
static void assert_list_sound(void)
{
	struct sluice_args **link = &queue.list.head;

	for (struct sluice_args *args = queue.list.head; args; args = args->run.next) {
		cr_assert_eq(args->run.link, link);
		link = &args->run.next;
	}
	cr_assert_eq(queue.list.end, link);
}

/* ---- gather ---- */

struct gather_row {
	const char *queue;
	uint32_t room;
	uint64_t budget;
	const char *gathered;
};

static void check_gather(const struct gather_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes;

		make_queue(rows[i].queue);
		bytes = queue.bytes;
		gather_now(rows[i].room, rows[i].budget);
		cr_expect_str_eq(gathered_words(), rows[i].gathered,
				 "\"%s\", %u segments, %llu bytes: %s, not %s", rows[i].queue,
				 rows[i].room, (unsigned long long)rows[i].budget, gathered_words(),
				 rows[i].gathered);
		/* It only looks. */
		cr_expect_eq(queue.bytes, bytes);
		assert_list_sound();
	}
}

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

/* ---- the model: one byte at a time ---- */

static uint64_t current_seed; /* 0: a table's */

/* The seed runs the same queue again; what it was is in words. */
#define model_assert(condition)                                                         \
	cr_assert(condition, "%s; seed %llu, \"%s\", gathered %s, done %s", #condition, \
		  (unsigned long long)current_seed, described, gathered_words(), done_words())

static struct ended expected[RECORDS];
static uint32_t expected_count;
static uint32_t removed_count;

static struct record *next_of(const struct record *record)
{
	return record_of(record->args.run.next);
}

static bool has(const struct record *record, uint32_t op_flags)
{
	return record->args.run.op_flags & op_flags;
}

static void model_end(struct record *record, int32_t error, int32_t native, uint64_t bytes)
{
	model_assert(record->queued);
	record->queued = false;
	expected[expected_count++] = (struct ended){record, error, native, bytes};
}

static uint64_t model_memory(void)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < record_count; i++) {
		for (uint64_t at = records[i].at; records[i].queued && at < records[i].to; at++)
			bytes += kinds[at] == 'm';
	}
	return bytes;
}

static bool has_file_left(const struct record *record)
{
	return memchr(kinds + record->at, 'f', record->to - record->at) != NULL;
}

/* The model's half of a settle: hands out so many bytes. */
static void model_take(struct record *record, const struct record *last, uint64_t taken)
{
	for (;;) {
		struct record *next = next_of(record);
		uint64_t before = taken;

		while (taken && record->at < record->to && kinds[record->at] != 'f') {
			record->at++;
			taken--;
		}
		if (record->at < record->to && !(has(record, SLUICE__OP_PARTIAL) && taken < before))
			break;
		model_end(record, SLUICE_ERROR_SUCCESS, 0, record->at - record->from);
		if (record == last)
			break;
		record = next;
	}
	model_assert(taken == 0);
}

/* Whether a record may stand behind another one in a transmission. */
static bool may_follow(const struct record *record, const struct record *behind)
{
	if (has(behind, SLUICE__OP_UNGATHERED | SLUICE__OP_THEN_DISCONNECT) ||
	    has(record, SLUICE__OP_UNGATHERED))
		return false;
	if (record->packets.beyond)
		return false;
	if (has(record, SLUICE__OP_MORE))
		return has(behind, SLUICE__OP_MORE);
	return !has_file_left(record);
}

/*
 * What was gathered is, byte by byte, what comes next in the stream. Returns the place behind the
 * last byte; the records touched are counted on the way.
 */
static uint64_t check_gathered_bytes(void)
{
	struct record *record = record_of(queue.list.head);
	uint64_t at = record->at, bytes = 0;
	uint32_t touched = 1;

	for (uint32_t i = 0; i < gather.count; i++) {
		for (size_t k = 0; k < gather.segments[i].iov_len; k++, at++, bytes++) {
			while (at == record->to && record != record_of(gather.last)) {
				struct record *next = next_of(record);

				model_assert(may_follow(next, record));
				record = next;
				at = record->at;
				touched++;
			}
			model_assert(at < record->to && kinds[at] != 'f');
			if (is_copy(&gather.segments[i]))
				model_assert(((char *)gather.segments[i].iov_base)[k] ==
					     stream[at]);
			else
				model_assert((char *)gather.segments[i].iov_base + k ==
					     stream + at);
		}
	}
	for (; record != record_of(gather.last); touched++) {
		model_assert(at == record->to);
		model_assert(may_follow(next_of(record), record));
		record = next_of(record);
		at = record->at;
	}
	model_assert(gather.bytes == bytes);
	model_assert(gather.records == touched);
	return at;
}

/* It stopped for a reason. */
static void check_gathered_enough(uint64_t end)
{
	const struct record *last = record_of(gather.last);
	bool full = gather.count == gather.room || gather.bytes == gather.budget;
	bool urgent = has(last, SLUICE__OP_OUT_OF_BAND) && last->at + 1 < last->to;

	model_assert(gather.count <= gather.room && gather.bytes <= gather.budget);
	if (urgent)
		model_assert(end < last->to);
	if (end < last->to)
		model_assert(full || kinds[end] == 'f' || (urgent && end + 1 == last->to));
	else
		model_assert(full || !last->args.run.next || !may_follow(next_of(last), last));
}

static void check_gathered_flags(uint64_t end)
{
	const struct record *last = record_of(gather.last);
	bool more = has(last, SLUICE__OP_MORE) || (end < last->to && kinds[end] == 'f');
	bool urgent = has(last, SLUICE__OP_OUT_OF_BAND) && last->at + 1 == last->to;
	uint32_t flags = (more ? MSG_MORE : 0) | (urgent ? MSG_OOB : 0) |
			 (has(last, SLUICE__OP_DONT_ROUTE) ? MSG_DONTROUTE : 0);

	model_assert(gather.flags == flags);
}

static void check_done(void)
{
	const struct sluice_args *args = done.first;

	for (uint32_t i = 0; i < expected_count; i++, args = args->run.next) {
		struct ended ended;

		model_assert(args);
		ended = ended_as(args);
		model_assert(
			ended.record == expected[i].record && ended.error == expected[i].error &&
			ended.native == expected[i].native && ended.bytes == expected[i].bytes);
	}
	model_assert(!args);
	model_assert(done.added == expected_count);
	model_assert(queue.bytes == model_memory());
	assert_list_sound();
}

static void check_gathered(void)
{
	uint64_t end = check_gathered_bytes();

	check_gathered_enough(end);
	check_gathered_flags(end);
}

/* So many bytes of the flight go, of the queue's and of the model's. */
static void take(struct sluice__flight flight, uint64_t taken)
{
	struct record *head = record_of(queue.list.head);
	uint32_t before = expected_count;

	model_take(head, record_of(flight.last), taken);
	model_assert(sluice__sendq_settle(&queue, &flight, taken, &done) ==
		     expected_count - before);
	check_done();
}

/* ---- every cut ---- */

/* The stream, taken in two pieces at every place, is the same records in the same order. */
Test(settle, every_cut_of_a_queue_moves_the_bytes_that_the_model_moves)
{
	static const char *const queues[] = {
		"3 4 5",
		"0 3 0 0 4 0",
		"3 (2,0,3) 4",
		"(0,1,0,2,0) (0) 3",
		"4~ 3 (2,2)~ 1",
		"3+ (1,2)+ 4",
		"3 <m2,r3,m1> 4",
		"<m2,r3,f4> 1",
		"5!",
		"(2,3)!",
		"6@",
		"3 <m4>$",
	};

	for (size_t i = 0; i < COUNT(queues); i++) {
		uint64_t bytes = 1;

		for (uint64_t cut = 0; cut <= bytes; cut++) {
			struct sluice__flight flight;

			make_queue(queues[i]);
			expected_count = 0;
			flight = gather_now(ROOM, PLENTY);
			bytes = flight.bytes;
			check_gathered();
			take(flight, cut);
			if (!queue.list.head)
				continue;
			flight = gather_now(ROOM, PLENTY);
			if (gather.what != SLUICE__GATHERED_MEMORY)
				continue;
			check_gathered();
			take(flight, flight.bytes);
		}
	}
}

/* ---- the randomised run ---- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t mixed;

	*state += 0x9e3779b97f4a7c15u;
	mixed = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return mixed ^ mixed >> 31;
}

static uint64_t below(uint64_t *state, uint64_t bound)
{
	return next_random(state) % bound;
}

static void random_record(uint64_t *state, char *words, size_t size)
{
	static const char *const flags[] = {"", "", "", "", "+", "+", "!", "~", "@"};
	uint64_t kind = below(state, 10);
	int length = 0, pieces = (int)below(state, 4) + 1;

	if (kind < 5) {
		snprintf(words, size, "%s%d%s", below(state, 2) ? ". " : "",
			 (int)(below(state, 8) ? below(state, 20) : SMALL - 5 + below(state, 10)),
			 kind < 3 ? "" : flags[below(state, COUNT(flags))]);
	} else if (kind < 7) {
		for (int i = 0; i < pieces; i++)
			length += snprintf(words + length, size - (size_t)length, "%c%d",
					   i ? ',' : '(', (int)(below(state, 3) * below(state, 6)));
		snprintf(words + length, size - (size_t)length, ")%s",
			 flags[below(state, COUNT(flags))]);
	} else if (kind < 9) {
		pieces = (int)below(state, 4);
		for (int i = 0; i < pieces; i++)
			length += snprintf(words + length, size - (size_t)length, "%s%c%d",
					   i ? "," : "<", "mmrf"[below(state, 4)],
					   (int)below(state, 9) + 1);
		snprintf(words + length, size - (size_t)length, "%s>%s%s", pieces ? "" : "<",
			 below(state, 12) == 0 ? "?" : "", below(state, 4) == 0 ? "+" : "");
	} else {
		snprintf(words, size, below(state, 4) ? "3" : "x");
	}
}

static void push_some(uint64_t *state, uint64_t most)
{
	static char all[1 << 16];
	char words[128];

	if (record_count == 0)
		all[0] = 0;
	for (uint64_t count = below(state, most + 1); count; count--) {
		random_record(state, words, sizeof words);
		strcat(all, words);
		strcat(all, " ");
		add_records(words);
	}
	described = all;
}

/* A record that is not in flight: those behind last are not. */
static void remove_one(uint64_t *state, const struct sluice_args *last)
{
	struct sluice_args *args = last ? last->run.next : queue.list.head;

	for (uint64_t skip = below(state, 4); args && skip; skip--)
		args = args->run.next;
	if (!args)
		return;
	sluice__sendq_remove(&queue, args);
	model_assert(record_of(args)->queued);
	record_of(args)->queued = false;
	removed_count++;
}

static uint64_t short_count(uint64_t *state, uint64_t bytes)
{
	return below(state, 2) ? bytes : below(state, bytes + 1);
}

static void step_memory(uint64_t *state, struct sluice__flight flight)
{
	check_gathered();
	/* While it is in flight, others come and go behind it. */
	if (record_count < 60)
		push_some(state, 2);
	if (below(state, 8) == 0)
		remove_one(state, flight.last);
	take(flight, short_count(state, flight.bytes));
}

static void step_file(uint64_t *state)
{
	struct record *head = record_of(queue.list.head);
	const struct sluice__packets *packets = &head->packets;
	uint64_t taken = packets->parts[packets->index].count - packets->at;

	model_assert(kinds[head->at] == 'f');
	if (below(state, 2))
		taken = below(state, taken) + 1;
	head->at += taken;
	if (!sluice__sendq_advance_file(&head->args, taken)) {
		model_assert(head->at < head->to);
		return;
	}
	model_assert(head->at == head->to);
	model_end(head, SLUICE_ERROR_SUCCESS, 0, head->to - head->from);
	sluice__sendq_finish_head(&queue, &done, SLUICE_ERROR_SUCCESS, 0, head->args.run.sent);
}

static void step_refused(int32_t error, int32_t native)
{
	model_end(record_of(queue.list.head), error, native, 0);
	sluice__sendq_finish_head(&queue, &done, error, native, 0);
}

static void step_fail(void)
{
	for (struct sluice_args *args = queue.list.head; args; args = args->run.next) {
		struct record *record = record_of(args);

		if (args == queue.list.head)
			model_end(record, SLUICE_ERROR_CONNECTION_RESET, ECONNRESET,
				  record->at - record->from);
		else
			model_end(record, SLUICE_ERROR_SHUTDOWN, EPIPE, 0);
	}
	sluice__sendq_fail(&queue, SLUICE_ERROR_CONNECTION_RESET, ECONNRESET, SLUICE_ERROR_SHUTDOWN,
			   EPIPE, &done);
}

static void step(uint64_t *state)
{
	uint64_t budget = below(state, 3) ? below(state, 60) + 1 : PLENTY;
	struct sluice__flight flight =
		gather_now(below(state, 3) ? ROOM : (uint32_t)below(state, 6) + 1, budget);

	switch (gather.what) {
	case SLUICE__GATHERED_MEMORY:
		step_memory(state, flight);
		break;
	case SLUICE__GATHERED_FILE:
		step_file(state);
		break;
	case SLUICE__GATHERED_BEYOND:
		model_assert(record_of(queue.list.head)->packets.beyond);
		step_refused(SLUICE_ERROR_INVALID_ARGUMENT, EINVAL);
		break;
	case SLUICE__GATHERED_DISCONNECT:
		model_assert(has(record_of(queue.list.head), SLUICE__OP_DISCONNECT));
		step_refused(SLUICE_ERROR_SUCCESS, 0);
		break;
	default:
		model_assert(!queue.list.head);
	}
}

/* One queue's life, from the first record to the last. */
static void run_random(uint64_t seed)
{
	uint64_t state = seed;
	uint32_t steps = 0;

	prefills = below(&state, 2);
	copies_space = below(&state, 2) ? sizeof copies : 0;
	make_queue("");
	expected_count = removed_count = 0;
	push_some(&state, 12);
	while (queue.list.head) {
		model_assert(++steps < 10000);
		if (record_count < 60)
			push_some(&state, 3);
		if (below(&state, 12) == 0)
			remove_one(&state, NULL);
		if (queue.list.head && below(&state, 40) == 0)
			step_fail();
		step(&state);
		check_done();
	}
	model_assert(expected_count + removed_count == record_count);
	model_assert(queue.bytes == 0);
}

/* SLUICE_TEST_SEED=N runs the one queue that a failure has named. */
Test(sendq, a_random_queue_moves_the_bytes_that_the_model_moves)
{
	const char *given = getenv("SLUICE_TEST_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0)
			       : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid() << 4;
	uint64_t count = given ? 1 : 4000;

	for (uint64_t seed = first; seed < first + count; seed++) {
		current_seed = seed;
		run_random(seed);
	}
}
