/* SPDX-License-Identifier: MIT */

#include "cases.h"
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
		{"bytes=3000000000-3000000001", 1ull << 40, 3000000000, 2},
		{"bytes=1-99999999999999999999999", 10, 1, 9},
		{"bytes=-99999999999999999999999", 10, 0, 10},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range range = {~0ull, ~0ull};

		cr_expect_eq(range_parse(span_of(cases[i].value), cases[i].size, &range),
			     RANGE_SATISFIABLE, "%s", cases[i].value);
		cr_expect_eq(range.first, cases[i].first, "%s", cases[i].value);
		cr_expect_eq(range.length, cases[i].length, "%s", cases[i].value);
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
		{"bytes=99999999999999999999999-", 10},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range range;

		cr_expect_eq(range_parse(span_of(cases[i].value), cases[i].size, &range),
			     RANGE_UNSATISFIABLE, "%s", cases[i].value);
	}
}

Test(http_range, an_empty_file_is_sent_whole_whatever_range_is_asked_for)
{
	static const char *const cases[] = {"bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-1",
					    "bytes=-0"};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range range;

		cr_expect_eq(range_parse(span_of(cases[i]), 0, &range), RANGE_IGNORED, "%s",
			     cases[i]);
	}
}

Test(http_range, what_is_no_single_range_is_ignored)
{
	static const char *const cases[] = {
		"",           "bytes",      "bytes=",        "bytes=-",     "bytes=a-b",
		"bytes=1",    "bytes=4-2",  "bytes=0-1,3-4", "bytes=0-1, ", "bytes=,0-1",
		"bytes=-1-2", "bytes=1--2", "bytes=0x0-1",   "bytes=0-1x",  "bytes=+0-1",
		"items=0-1",  "bytes 0-1",  "bytes=0 -1",    "bytes =0-1",  "bytes=0-1-2",
		"bytes=--1",  "0-1",        "bytes=\xff",    "bytes=- 1",
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct range range;

		cr_expect_eq(range_parse(span_of(cases[i]), 10, &range), RANGE_IGNORED, "'%s'",
			     cases[i]);
	}
}
