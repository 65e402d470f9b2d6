/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cases.h"
#include "serve/escape.h"
#include "serve/listing.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char text[65536];

static const char *taken(struct buffer *buffer)
{
	snprintf(text, sizeof(text), "%.*s", (int)buffer->length, buffer->base);
	buffer_dispose(buffer);
	return text;
}

static const char *escaped(void (*escape)(struct buffer *, struct span), const char *bytes)
{
	struct buffer buffer = {0};

	escape(&buffer, span_of(bytes));
	return taken(&buffer);
}

Test(http_listing, a_name_cannot_leave_its_text)
{
	static const struct {
		const char *name, *html, *json, *url;
	} cases[] = {
		{"plain-1.txt", "plain-1.txt", "plain-1.txt", "plain-1.txt"},
		{"<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;", "<b>&\\\"'", "%3Cb%3E%26%22%27"},
		{"a:b?c#d", "a:b?c#d", "a:b?c#d", "a%3Ab%3Fc%23d"},
		{"back\\slash", "back\\slash", "back\\\\slash", "back%5Cslash"},
		{"new\nline", "new\xef\xbf\xbdline", "new\\u000aline", "new%0Aline"},
		{"\x7f", "\xef\xbf\xbd", "\\u007f", "%7F"},
		{"\xc3\xa4", "\xc3\xa4", "\xc3\xa4", "%C3%A4"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "%F0%9F%98%80"},
		/* Not UTF-8: stray, cut, overlong, a surrogate, too high. */
		{"\xff", "\xef\xbf\xbd", "\xef\xbf\xbd", "%FF"},
		{"\xc3<", "\xef\xbf\xbd&lt;", "\xef\xbf\xbd<", "%C3%3C"},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd", "%C0%AF"},
		{"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "%E0%80%AF"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "%ED%A0%80"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "%F4%90%80%80"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_expect_str_eq(escaped(escape_html, cases[i].name), cases[i].html);
		cr_expect_str_eq(escaped(escape_json, cases[i].name), cases[i].json);
		cr_expect_str_eq(escaped(escape_url, cases[i].name), cases[i].url);
	}
}

Test(http_listing, the_query_names_the_order)
{
	static const struct {
		const char *query;
		enum listing_key key;
		bool descending;
	} cases[] = {
		{"", LISTING_BY_NAME, false},
		{"?", LISTING_BY_NAME, false},
		{"?sort=size", LISTING_BY_SIZE, false},
		{"?sort=time&order=desc", LISTING_BY_TIME, true},
		{"?order=desc&sort=name", LISTING_BY_NAME, true},
		{"?order=asc&sort=size", LISTING_BY_SIZE, false},
		{"?sort=colour&order=sideways", LISTING_BY_NAME, false},
		{"?a&b=&&=c&sort=size", LISTING_BY_SIZE, false},
		{"?sort=size&sort=time", LISTING_BY_TIME, false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct listing_view view = listing_read_query(span_of(cases[i].query));

		cr_expect_eq(view.key, cases[i].key, "%s", cases[i].query);
		cr_expect_eq(view.descending, cases[i].descending, "%s", cases[i].query);
	}
}

Test(http_listing, each_view_has_a_number_of_its_own)
{
	for (unsigned int i = 0; i < 12; i++) {
		cr_expect_eq(listing_view_number(listing_view_of(i)), i);
		cr_expect_lt(i, LISTING_VIEWS);
	}
}

static const char *order_of(struct listing_view view)
{
	struct listing_item items[] = {
		{"b", 10, 300, false}, {"A", 30, 100, false}, {"c", 20, 200, false},
		{"z", 0, 250, true},   {"y", 0, 260, true},
	};
	static char names[16];

	listing_sort(items, COUNT(items), view);
	for (size_t i = 0; i < COUNT(items); i++)
		names[i] = items[i].name[0];
	return names;
}

Test(http_listing, directories_come_first_in_each_order)
{
	cr_expect_str_eq(order_of((struct listing_view){LISTING_BY_NAME, false, false}), "yzAbc");
	cr_expect_str_eq(order_of((struct listing_view){LISTING_BY_NAME, true, false}), "zycbA");
	cr_expect_str_eq(order_of((struct listing_view){LISTING_BY_SIZE, false, false}), "yzbcA");
	cr_expect_str_eq(order_of((struct listing_view){LISTING_BY_TIME, false, false}), "zyAcb");
	cr_expect_str_eq(order_of((struct listing_view){LISTING_BY_TIME, true, false}), "yzbcA");
}

Test(http_listing, json_is_an_array_of_objects)
{
	static const struct listing_item items[] = {
		{"sub", 4096, 0, true},
		{"a\"b", 5, 784111777, false},
	};
	struct listing_view view = {.json = true};
	struct buffer buffer = {0};

	listing_write(&buffer, span_of("/"), items, 2, view, false);
	cr_expect_str_eq(taken(&buffer), "[\n{\"name\":\"sub\",\"type\":\"directory\",\"size\":0,"
					 "\"mtime\":\"1970-01-01T00:00:00Z\"},\n"
					 "{\"name\":\"a\\\"b\",\"type\":\"file\",\"size\":5,"
					 "\"mtime\":\"1994-11-06T08:49:37Z\"}\n]\n");
	listing_write(&buffer, span_of("/"), NULL, 0, view, false);
	cr_expect_str_eq(taken(&buffer), "[\n]\n");
}

Test(http_listing, the_page_links_names_and_directories_above)
{
	static const struct listing_item items[] = {{"javascript:x", 1536, 784111777, false}};
	struct buffer buffer = {0};
	const char *page;

	listing_write(&buffer, span_of("/a&b/c/"), items, 1, (struct listing_view){0}, true);
	page = taken(&buffer);
	cr_expect_not_null(strstr(page, "<title>/a&amp;b/c/</title>"));
	cr_expect_not_null(
		strstr(page, "<h1><a href=\"../../\">/</a><a href=\"../\">a&amp;b/</a>c/</h1>"));
	cr_expect_not_null(strstr(page, "<a href=\"./javascript%3Ax\">javascript:x</a>"));
	cr_expect_not_null(strstr(page, "<td>1.5 KiB</td>"));
	cr_expect_not_null(strstr(page, "1994-11-06<span class=\"clock\"> 08:49:37</span>"));
	cr_expect_not_null(strstr(page, "?sort=name&amp;order=desc"));
	cr_expect_not_null(strstr(page, "?sort=size&amp;order=asc"));
	cr_expect_not_null(strstr(page, "Only the first 1 names are listed."));
	cr_expect_not_null(strstr(page, "color-scheme: light dark"));
	cr_expect_not_null(strstr(page, "name=\"viewport\""));
}
