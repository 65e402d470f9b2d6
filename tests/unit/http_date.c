/* SPDX-License-Identifier: MIT */

#include "cases.h"
#include "serve/httpdate.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t now = 1700000000; /* 14 November 2023 */

Test(http_date, dates_are_written_as_http_wants_them)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{951827696, "Tue, 29 Feb 2000 12:34:56 GMT"},
		{4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[HTTPDATE_LENGTH + 1] = "";

		httpdate_format(text, cases[i].seconds);
		cr_expect_str_eq(text, cases[i].text);
	}
}

Test(http_date, all_three_forms_are_read)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		{"Sun Nov  6 08:49:37 1994", 784111777},
		{"Tue, 29 Feb 2000 12:34:56 GMT", 951827696},
		{"Sat Dec 31 23:59:60 2016", 1483228799},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t seconds = -1;

		cr_expect(httpdate_parse(span_of(cases[i].text), now, &seconds), "%s",
			  cases[i].text);
		cr_expect_eq(seconds, cases[i].seconds, "%s", cases[i].text);
	}
}

Test(http_date, two_digits_mean_the_nearer_century)
{
	int64_t seconds;

	cr_assert(httpdate_parse(span_of("Friday, 01-Jan-60 00:00:00 GMT"), now, &seconds));
	cr_expect_eq(seconds, 2840140800, "2060");
	cr_assert(httpdate_parse(span_of("Friday, 01-Jan-99 00:00:00 GMT"), now, &seconds));
	cr_expect_eq(seconds, 915148800, "1999");
}

Test(http_date, what_is_no_date_is_refused)
{
	static const char *const cases[] = {
		"",
		"0",
		"yesterday",
		"Sun",
		"Sun, ",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Wed, 30 Feb 2000 12:34:00 GMT",
		"Sun, 31 Apr 1994 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT",
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t seconds;

		cr_expect_not(httpdate_parse(span_of(cases[i]), now, &seconds), "'%s'", cases[i]);
	}
}

Test(http_date, every_day_is_read_as_it_was_written)
{
	for (int64_t day = 0; day < 60000; day++) {
		int64_t seconds = day * 86400 + day % 86400, back = -1;
		char text[HTTPDATE_LENGTH];

		httpdate_format(text, seconds);
		cr_assert(httpdate_parse((struct span){text, sizeof(text)}, now, &back));
		cr_assert_eq(back, seconds);
	}
}
