/* SPDX-License-Identifier: MIT */

#include <string.h>

#include "cases.h"
#include "serve/multipart.h"
#include "serve/range.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(http_range, a_range_names_the_bytes_it_gets)
{
	static const struct {
		const char *value;
		uint64_t size, first, length;
	} cases[] = {
		{"bytes=0-0", 10, 0, 1},
		{"bytes=0-9", 10, 0, 10},
		{"bytes=2-4", 10, 2, 3},
		{"bytes=9-", 10, 9, 1},
		{"bytes=0-", 10, 0, 10},
		{"bytes=5-100", 10, 5, 5},
		{"bytes=-1", 10, 9, 1},
		{"bytes=-10", 10, 0, 10},
		{"bytes=-11", 10, 0, 10},
		{"Bytes=0-0", 10, 0, 1},
		{" bytes=0-0 ", 10, 0, 1},
		{"bytes= 0-0", 10, 0, 1},
		{"bytes=00000-00001", 10, 0, 2},
		{"bytes=0-1, ", 10, 0, 2},
		{"bytes=,0-1", 10, 0, 2},
		{"bytes=3-4,10-20", 10, 3, 2},
		{"bytes=10-,-2", 10, 8, 2},
		{"bytes=3000000000-3000000001", 1ull << 40, 3000000000, 2},
		{"bytes=1-99999999999999999999999", 10, 1, 9},
		{"bytes=-99999999999999999999999", 10, 0, 10},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range ranges[RANGES_MAX];
		size_t count = 0;

		cr_expect_eq(ranges_parse(span_of(cases[i].value), cases[i].size, ranges, &count),
			     RANGE_SATISFIABLE, "%s", cases[i].value);
		cr_assert_eq(count, 1, "%s", cases[i].value);
		cr_expect_eq(ranges[0].first, cases[i].first, "%s", cases[i].value);
		cr_expect_eq(ranges[0].length, cases[i].length, "%s", cases[i].value);
	}
}

Test(http_range, what_the_file_does_not_have_is_unsatisfiable)
{
	static const struct {
		const char *value;
		uint64_t size;
	} cases[] = {
		{"bytes=10-", 10},
		{"bytes=10-20", 10},
		{"bytes=-0", 10},
		{"bytes=10-,20-30,-0", 10},
		{"bytes=99999999999999999999999-", 10},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range ranges[RANGES_MAX];
		size_t count;

		cr_expect_eq(ranges_parse(span_of(cases[i].value), cases[i].size, ranges, &count),
			     RANGE_UNSATISFIABLE, "%s", cases[i].value);
	}
}

Test(http_range, an_empty_file_is_sent_whole_whatever_range_is_asked_for)
{
	static const char *const cases[] = {"bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-1",
					    "bytes=-0"};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range ranges[RANGES_MAX];
		size_t count;

		cr_expect_eq(ranges_parse(span_of(cases[i]), 0, ranges, &count), RANGE_IGNORED,
			     "%s", cases[i]);
	}
}

Test(http_range, what_is_no_range_is_ignored)
{
	static const char *const cases[] = {
		"",           "bytes",      "bytes=",      "bytes=-",     "bytes=a-b",
		"bytes=1",    "bytes=4-2",  "bytes=0-1,x", "bytes=x,0-1", "bytes=,",
		"bytes=-1-2", "bytes=1--2", "bytes=0x0-1", "bytes=0-1x",  "bytes=+0-1",
		"items=0-1",  "bytes 0-1",  "bytes=0 -1",  "bytes =0-1",  "bytes=0-1-2",
		"bytes=--1",  "0-1",        "bytes=\xff",  "bytes=- 1",
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range ranges[RANGES_MAX];
		size_t count;

		cr_expect_eq(ranges_parse(span_of(cases[i]), 10, ranges, &count), RANGE_IGNORED,
			     "'%s'", cases[i]);
	}
}

Test(http_range, several_ranges_keep_their_order)
{
	struct range ranges[RANGES_MAX];
	size_t count = 0;

	cr_expect_eq(ranges_parse(span_of("bytes=8-, 0-0 ,50-60,3-4"), 10, ranges, &count),
		     RANGE_SATISFIABLE);
	cr_assert_eq(count, 3);
	cr_expect(ranges[0].first == 8 && ranges[0].length == 2);
	cr_expect(ranges[1].first == 0 && ranges[1].length == 1);
	cr_expect(ranges[2].first == 3 && ranges[2].length == 2);
}

/* An answer is never larger than the file, whatever overlaps, and has at most so many parts. */
Test(http_range, ranges_that_are_too_many_or_too_large_are_ignored)
{
	struct range ranges[RANGES_MAX];
	char value[16 + 8 * RANGES_MAX] = "bytes=";
	size_t count = 0;

	cr_expect_eq(ranges_parse(span_of("bytes=0-5,4-9"), 10, ranges, &count), RANGE_IGNORED);
	cr_expect_eq(ranges_parse(span_of("bytes=0-,0-"), 10, ranges, &count), RANGE_IGNORED);
	cr_expect_eq(ranges_parse(span_of("bytes=0-4,4-8"), 10, ranges, &count), RANGE_SATISFIABLE);
	cr_expect_eq(count, 2);
	for (int i = 0; i < RANGES_MAX; i++)
		strcat(value, "1-1,");
	cr_expect_eq(ranges_parse(span_of(value), 100, ranges, &count), RANGE_SATISFIABLE);
	cr_expect_eq(count, RANGES_MAX);
	strcat(value, "1-1");
	cr_expect_eq(ranges_parse(span_of(value), 100, ranges, &count), RANGE_IGNORED);
}

Test(http_range, several_ranges_are_separated_by_their_headers)
{
	static const struct range ranges[] = {{8, 2}, {0, 1}};
	struct multipart multipart = {
		.boundary = UINT64_MAX,
		.media = {span_of("text/plain"), span_of("utf-8"), {NULL, 0}},
		.size = 10,
		.ranges = ranges,
		.count = 2,
	};
	char memory[1000];
	struct text text = text_in(memory, sizeof(memory));

	multipart_write_type(&text, &multipart);
	cr_expect(text.length <= MULTIPART_TYPE_BYTES);
	cr_expect(
		span_equals((struct span){text.base, text.length},
			    span_of("multipart/byteranges; boundary=sluice-18446744073709551615")));
	text.length = 0;
	for (size_t part = 0; part <= 2; part++)
		multipart_write_delimiter(&text, &multipart, part);
	cr_expect(span_equals((struct span){text.base, text.length},
			      span_of("\r\n--sluice-18446744073709551615\r\n"
				      "Content-Type: text/plain; charset=utf-8\r\n"
				      "Content-Range: bytes 8-9/10\r\n\r\n"
				      "\r\n--sluice-18446744073709551615\r\n"
				      "Content-Type: text/plain; charset=utf-8\r\n"
				      "Content-Range: bytes 0-0/10\r\n\r\n"
				      "\r\n--sluice-18446744073709551615--\r\n")));
	cr_expect(text.length <= multipart_capacity(&multipart));
}
