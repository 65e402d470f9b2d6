/* SPDX-License-Identifier: MIT */
#include "serve/httpdate.h"

#include <stdio.h>
#include <time.h>

static const char days[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
				 "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void put_number(char *at, int digits, int number)
{
	for (int i = digits - 1; i >= 0; i--) {
		at[i] = (char)('0' + number % 10);
		number /= 10;
	}
}

void httpdate_format(char *ret_text, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	gmtime_r(&time, &tm);
	memcpy(ret_text, "Day, 00 Mon 0000 00:00:00 GMT", HTTPDATE_LENGTH);
	memcpy(ret_text, days[tm.tm_wday], 3);
	put_number(ret_text + 5, 2, tm.tm_mday);
	memcpy(ret_text + 8, months[tm.tm_mon], 3);
	put_number(ret_text + 12, 4, tm.tm_year + 1900);
	put_number(ret_text + 17, 2, tm.tm_hour);
	put_number(ret_text + 20, 2, tm.tm_min);
	put_number(ret_text + 23, 2, tm.tm_sec);
}

/* The parsers below consume what they expect, or return false. */

static bool take(struct span *text, const char *expected)
{
	size_t length = strlen(expected);

	if (text->length < length || memcmp(text->at, expected, length) != 0)
		return false;
	*text = span_from(*text, length);
	return true;
}

static bool take_number(struct span *text, size_t digits, int *ret_number)
{
	int number = 0;

	if (text->length < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (text->at[i] < '0' || text->at[i] > '9')
			return false;
		number = number * 10 + (text->at[i] - '0');
	}
	*text = span_from(*text, digits);
	*ret_number = number;
	return true;
}

static bool take_month(struct span *text, struct tm *tm)
{
	for (int i = 0; i < 12; i++) {
		if (take(text, months[i])) {
			tm->tm_mon = i;
			return true;
		}
	}
	return false;
}

static bool take_clock(struct span *text, struct tm *tm)
{
	return take_number(text, 2, &tm->tm_hour) && take(text, ":") &&
	       take_number(text, 2, &tm->tm_min) && take(text, ":") &&
	       take_number(text, 2, &tm->tm_sec);
}

/* "06 Nov 1994 08:49:37 GMT", after "Sun, " */
static bool take_current(struct span *text, struct tm *tm)
{
	int year = 0;

	if (!(take_number(text, 2, &tm->tm_mday) && take(text, " ") && take_month(text, tm) &&
	      take(text, " ") && take_number(text, 4, &year) && take(text, " ") &&
	      take_clock(text, tm) && take(text, " GMT")))
		return false;
	tm->tm_year = year - 1900;
	return true;
}

/*
 * "06-Nov-94 08:49:37 GMT", after "Sunday, ". A year that seems more than 50 years ahead is the
 * latest one in the past with these digits.
 */
static bool take_rfc850(struct span *text, struct tm *tm, int64_t now)
{
	time_t time = (time_t)now;
	struct tm today;
	int year = 0;

	if (!(take_number(text, 2, &tm->tm_mday) && take(text, "-") && take_month(text, tm) &&
	      take(text, "-") && take_number(text, 2, &year) && take(text, " ") &&
	      take_clock(text, tm) && take(text, " GMT")))
		return false;
	gmtime_r(&time, &today);
	tm->tm_year = today.tm_year - today.tm_year % 100 + year;
	if (tm->tm_year > today.tm_year + 50)
		tm->tm_year -= 100;
	return true;
}

/* "Nov  6 08:49:37 1994", after "Sun " */
static bool take_asctime(struct span *text, struct tm *tm)
{
	int year = 0;

	if (!(take_month(text, tm) && take(text, " ")))
		return false;
	if (!(take(text, " ") ? take_number(text, 1, &tm->tm_mday)
			      : take_number(text, 2, &tm->tm_mday)))
		return false;
	if (!(take(text, " ") && take_clock(text, tm) && take(text, " ") &&
	      take_number(text, 4, &year)))
		return false;
	tm->tm_year = year - 1900;
	return true;
}

static bool take_any(struct span *text, struct tm *tm, int64_t now)
{
	for (int i = 0; i < 7; i++) {
		char abbreviation[4] = {days[i][0], days[i][1], days[i][2], 0};

		if (take(text, days[i]))
			return take(text, ", ") && take_rfc850(text, tm, now);
		if (take(text, abbreviation))
			return take(text, ", ") ? take_current(text, tm)
						: take(text, " ") && take_asctime(text, tm);
	}
	return false;
}

bool httpdate_parse(struct span text, int64_t now, int64_t *ret_seconds)
{
	struct tm tm = {0};
	int day;

	if (!take_any(&text, &tm, now) || text.length != 0)
		return false;
	if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || tm.tm_mday < 1)
		return false;
	if (tm.tm_sec == 60)
		tm.tm_sec = 59;
	day = tm.tm_mday;
	*ret_seconds = (int64_t)timegm(&tm);
	/* timegm turns February 30 into March 2. */
	return tm.tm_mday == day;
}
