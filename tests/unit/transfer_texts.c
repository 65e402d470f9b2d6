/* SPDX-License-Identifier: MIT */
/* Names, addresses and progress of `sluice send` and `sluice receive`. */

#include <string.h>

#include "cases.h"
#include "transfer/address.h"
#include "transfer/log.h"
#include "transfer/name.h"
#include "transfer/progress.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- names ---- */

static bool is_safe(const char *name, bool dotfiles)
{
	return name_is_safe(name, strlen(name), dotfiles);
}

Test(transfer_name, names_of_one_entry_are_safe)
{
	static const char *const names[] = {"a",    "name.txt",     "a b",    "a..b", "a.",
					    "-rf",  "\xc3\xa4",     "\xff",   "~",    "$HOME",
					    "a\\b", "C:\\autoexec", "*?[]{}", "a\"'`"};
	char longest[256];

	for (size_t i = 0; i < COUNT(names); i++)
		cr_assert(is_safe(names[i], false), "%s", names[i]);
	memset(longest, 'x', sizeof(longest));
	cr_assert(name_is_safe(longest, 255, false));
	cr_assert(!name_is_safe(longest, 256, false));
}

Test(transfer_name, names_that_lead_elsewhere_are_not)
{
	static const char *const names[] = {"",     ".",      "..", "/",    "/a",      "a/",  "a/b",
					    "../a", "a/../b", "\n", "a\tb", "\x1b[0m", "\x7f"};

	for (size_t i = 0; i < COUNT(names); i++) {
		cr_assert(!is_safe(names[i], false), "%s", names[i]);
		cr_assert(!is_safe(names[i], true), "%s", names[i]);
	}
	cr_assert(!name_is_safe("a\0b", 3, true));
}

Test(transfer_name, a_dot_in_front_has_to_be_allowed)
{
	cr_assert(!is_safe(".profile", false));
	cr_assert(is_safe(".profile", true));
	cr_assert(!is_safe("...", false));
	cr_assert(is_safe("...", true));
}

Test(transfer_name, the_name_of_a_path_is_its_last_segment)
{
	cr_assert_str_eq(name_of_path("a"), "a");
	cr_assert_str_eq(name_of_path("/a/b"), "b");
	cr_assert_str_eq(name_of_path("../a"), "a");
	cr_assert_str_eq(name_of_path("a/"), "");
}

Test(transfer_name, what_a_terminal_minds_is_shown_as_numbers)
{
	static const struct {
		const char *name;
		const char *shown;
	} names[] = {
		{"plain", "plain"},
		{"\x1b[31mred", "\\x1b[31mred"},
		{"a\nb", "a\\x0ab"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xc2\x9b"
		 "31m",
		 "\\xc2\\x9b31m"},                                 /* a C1 control character */
		{"\xe2\x80\xaegpj.exe", "\\xe2\\x80\\xaegpj.exe"}, /* right to left */
		{"\xc0\xaf", "\\xc0\\xaf"},                        /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},               /* half a pair */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},      /* beyond Unicode */
		{"\xe2\x82", "\\xe2\\x82"},                        /* cut off */
		{"\xff", "\\xff"},
	};
	char shown[64];

	for (size_t i = 0; i < COUNT(names); i++) {
		name_show(names[i].name, shown, sizeof(shown));
		cr_assert_str_eq(shown, names[i].shown);
	}
	name_show("\x1b\x1b\x1b", shown, 8);
	cr_assert_str_eq(shown, "\\x1b");
	name_show("abcdefghijk", shown, 8);
	cr_assert_str_eq(shown, "abcdefg");
}

Test(transfer_name, portable_names_need_no_trial)
{
	static const char *const portable[] = {"a", "disk.img", "a-b_c.tar.gz", "0"};
	static const char *const others[] = {"",   "a b", "a?",      "\xc3\xa4", ".a",   "a.",
					     "-a", "con", "NUL.txt", "a:b",      "Com1", "a*"};
	char longer[128];

	for (size_t i = 0; i < COUNT(portable); i++)
		cr_assert(name_is_portable(portable[i]), "%s", portable[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		cr_assert(!name_is_portable(others[i]), "%s", others[i]);
	memset(longer, 'x', sizeof(longer));
	longer[100] = '\0';
	cr_assert(!name_is_portable(longer));
}

/* ---- messages ---- */

Test(transfer_log, a_burst_is_printed_and_then_one_a_second)
{
	const uint64_t second = UINT64_C(1000000000), begin = 1000 * second;
	struct log_limit limit = {0};
	uint64_t suppressed, printed = 0, counted = 0;

	for (int i = 0; i < LOG_BURST; i++)
		cr_assert(log_limit_take(&limit, begin, &suppressed));
	cr_assert(!log_limit_take(&limit, begin, &suppressed));
	for (uint64_t i = 1; i <= 10000; i++) {
		if (!log_limit_take(&limit, begin + i * second / 1000, &suppressed))
			continue;
		printed++;
		counted += suppressed;
	}
	cr_assert_eq(printed, 10);
	cr_assert_eq(counted + limit.suppressed, 1 + 10000 - 10);
	/* After a pause there is a burst again. */
	for (int i = 0; i < LOG_BURST; i++)
		cr_assert(log_limit_take(&limit, begin + 1000 * second, &suppressed));
}

/* ---- addresses ---- */

Test(transfer_address, hosts_and_ports_are_taken_apart)
{
	static const struct {
		const char *text;
		const char *host;
		uint16_t port;
	} addresses[] = {
		{"localhost:9000", "localhost", 9000}, {"127.0.0.1:1", "127.0.0.1", 1},
		{"[::1]:65535", "::1", 65535},         {"[fe80::1%eth0]:80", "fe80::1%eth0", 80},
		{"a.b-c:00080", "a.b-c", 80},
	};
	struct address address;

	for (size_t i = 0; i < COUNT(addresses); i++) {
		cr_assert_null(address_parse(addresses[i].text, &address));
		cr_assert_str_eq(address.host, addresses[i].host);
		cr_assert_eq(address.port, addresses[i].port);
	}
}

Test(transfer_address, what_is_none_is_refused)
{
	static const char *const wrong[] = {"",           ":",       "host",
					    ":9000",      "host:",   "host:0",
					    "host:65536", "host:x",  "host:1x",
					    "::1:80",     "[::1]80", "[]:80",
					    "[::1:80",    "::1]:80", "host:-1",
					    "host:+1",    "host: 1", "host:99999999999999999999"};
	struct address address;
	char longest[300];

	for (size_t i = 0; i < COUNT(wrong); i++)
		cr_assert_not_null(address_parse(wrong[i], &address), "%s", wrong[i]);
	memset(longest, 'h', sizeof(longest));
	strcpy(longest + 256, ":1");
	cr_assert_not_null(address_parse(longest, &address));
	strcpy(longest + 255, ":1");
	cr_assert_null(address_parse(longest, &address));
}

/* ---- progress ---- */

Test(transfer_progress, sizes_have_their_units)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1048575, "1023 KiB"},
		{1048576, "1.0 MiB"},
		{104857599, "99.9 MiB"},
		{104857600, "100 MiB"},
		{UINT64_C(4) << 30, "4.0 GiB"},
		{UINT64_MAX, "15.9 EiB"},
	};
	char text[PROGRESS_TEXT];

	for (size_t i = 0; i < COUNT(sizes); i++) {
		progress_size(sizes[i].bytes, text);
		cr_assert_str_eq(text, sizes[i].text);
	}
}

Test(transfer_progress, times_are_short)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} times[] = {
		{0, "0:00"},
		{59, "0:59"},
		{60, "1:00"},
		{3599, "59:59"},
		{3600, "1:00:00"},
		{3599999, "999:59:59"},
		{3600000, "41 days"},
		{UINT64_MAX, "-:--"},
		{UINT64_MAX - 1, "213503982334601 days"},
	};
	char text[PROGRESS_TEXT];

	for (size_t i = 0; i < COUNT(times); i++) {
		progress_time(times[i].seconds, text);
		cr_assert_str_eq(text, times[i].text);
	}
}

Test(transfer_progress, the_rest_takes_what_it_takes)
{
	cr_assert_eq(progress_left(0, 100, 10), 10);
	cr_assert_eq(progress_left(1, 100, 10), 10);
	cr_assert_eq(progress_left(100, 100, 10), 0);
	cr_assert_eq(progress_left(200, 100, 10), 0);
	cr_assert_eq(progress_left(0, 100, 0), UINT64_MAX);
	cr_assert_eq(progress_left(0, UINT64_MAX, 10), UINT64_MAX);
}

Test(transfer_progress, a_line_shows_name_bar_and_figures)
{
	char line[PROGRESS_LINE];

	progress_line(line, 70, "name", 50 << 20, 100 << 20, 10 << 20);
	cr_assert_str_eq(line,
			 "name [################.................]  50% 50.0 MiB 10.0 MiB/s 0:05");
	progress_line(line, 70, "name", 50 << 20, UINT64_MAX, 10 << 20);
	cr_assert_str_eq(line, "name 50.0 MiB 10.0 MiB/s");
	progress_line(line, 70, "name", 0, 0, 0);
	cr_assert(strstr(line, "100%"), "%s", line);
}

static size_t columns_of(const char *line)
{
	size_t columns = 0;

	for (; *line != '\0'; line++)
		columns += ((unsigned char)*line & 0xc0) != 0x80;
	return columns;
}

Test(transfer_progress, no_line_is_wider_than_the_terminal)
{
	static const uint64_t totals[] = {0, 1, 1 << 20, UINT64_C(1) << 62, UINT64_MAX};
	char name[256], line[PROGRESS_LINE];

	for (size_t columns = 0; columns < 400; columns++) {
		for (size_t length = 0; length < sizeof(name); length += 17) {
			memset(name, 'n', length);
			name[length] = '\0';
			for (size_t i = 0; i < COUNT(totals); i++) {
				progress_line(line, columns, name, totals[i] / 3, totals[i], 12345);
				cr_assert_leq(columns_of(line), columns);
			}
		}
	}
}

/* A name is cut between characters. */
Test(transfer_progress, a_long_name_ends_with_dots)
{
	char name[256] = "", line[PROGRESS_LINE];

	for (int i = 0; i < 60; i++)
		strcat(name, "\xc3\xa4");
	progress_line(line, 70, name, 50 << 20, 100 << 20, 10 << 20);
	cr_assert_leq(columns_of(line), 70);
	cr_assert(strstr(line, "\xc3\xa4.. ["), "%s", line);
}

Test(transfer_progress, wide_characters_take_two_columns)
{
	/* Two wide characters, one with a mark that takes no column, one of two, ASCII. */
	static const char text[] = "\xe6\x97\xa5\xe6\x9c\xac"
				   "e\xcc\x81"
				   "\xf0\x9f\x98\x80"
				   "x";
	char name[256] = "", line[PROGRESS_LINE];

	/* Without a locale that knows marks they count one. */
	cr_assert(progress_columns(text) == 8 || progress_columns(text) == 9);
	for (int i = 0; i < 60; i++)
		strcat(name, "\xe6\x97\xa5");
	cr_assert_eq(progress_columns(name), 120);
	for (size_t columns = 0; columns < 200; columns++) {
		progress_line(line, columns, name, 50 << 20, 100 << 20, 10 << 20);
		cr_assert_leq(progress_columns(line), columns, "%zu: %s", columns, line);
		progress_line(line, columns, name, 50 << 20, UINT64_MAX, 10 << 20);
		cr_assert_leq(progress_columns(line), columns, "%zu: %s", columns, line);
	}
	progress_line(line, 70, name, 50 << 20, 100 << 20, 10 << 20);
	cr_assert(strstr(line, "\xe6\x97\xa5.. ["), "%s", line);
}

/* ---- what limited a connection ---- */

#define MS UINT64_C(1000000)

Test(progress_limit, the_largest_part_of_the_time_is_said_in_words)
{
	static const struct {
		struct progress_times times;
		const char *text;
	} cases[] = {
		{{1000 * MS, 990 * MS, 870 * MS, 20 * MS},
		 "87 % of the time limited by the receiver's window"},
		{{1000 * MS, 990 * MS, 20 * MS, 655 * MS},
		 "66 % of the time limited by the send buffer"},
		{{1000 * MS, 900 * MS, 100 * MS, 100 * MS},
		 "70 % of the time limited by the network"},
		{{1000 * MS, 100 * MS, 0, 0}, "90 % of the time spent waiting for data or answers"},
		/* The kernel's clock is coarser than ours. */
		{{1000 * MS, 1004 * MS, 1004 * MS, 0},
		 "100 % of the time limited by the receiver's window"},
		{{1000 * MS, 0, 0, 0}, ""}, /* not TCP, or an old kernel */
		{{99 * MS, 99 * MS, 99 * MS, 0}, ""},
	};
	char text[PROGRESS_LIMIT];

	for (size_t i = 0; i < COUNT(cases); i++) {
		progress_limit(&cases[i].times, text);
		cr_assert_str_eq(text, cases[i].text, "%s", text);
	}
}
