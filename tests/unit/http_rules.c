/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"
#include "serve/pattern.h"
#include "serve/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char complaints[4096];

static void note(void *token, const char *file, unsigned int line, const char *what)
{
	size_t length = strlen(complaints);

	snprintf(complaints + length, sizeof(complaints) - length, "%s:%u ", file, line);
}

static const char *taken(struct buffer *buffer)
{
	static char text[8192];

	snprintf(text, sizeof(text), "%.*s", (int)buffer->length,
		 buffer->base != NULL ? buffer->base : "");
	buffer_dispose(buffer);
	return text;
}

Test(http_rules, a_pattern_matches_whole_paths)
{
	static const struct {
		const char *pattern, *path, *text, *result;
	} cases[] = {
		{"/a", "/a", "/x", "/x"},
		{"/a", "/ab", "/x", NULL},
		{"/a", "/a/", "/x", NULL},
		{"/*", "/", "/b/:splat", "/b/"},
		{"/*", "/a/b", "/b/:splat", "/b/a/b"},
		{"/a/*", "/a/b/c", "/:splat", "/b/c"},
		{"/a/*", "/a", "/:splat", NULL},
		{"/a/*/end", "/a/b/c/end", "/:splat", "/b/c"},
		{"/*.html", "/x/y.html", "/:splat", "/x/y"},
		{"/*.html", "/x/y.htm", "/:splat", NULL},
		{"/news/:year/:name", "/news/2026/hello", "/:name-:year", "/hello-2026"},
		{"/news/:year/:name", "/news/2026", "/", NULL},
		{"/news/:year/:name", "/news/2026/a/b", "/", NULL},
		{"/news/:year/*", "/news/2026/a/b", "/:year/:splat", "/2026/a/b"},
		{"/:a", "/", "/:a", NULL},
		{"/a:80", "/a:80", "/:8080/:unknown", "/:8080/:unknown"},
		{"/*", "/a b?&\"<", "/:splat", "/a%20b%3F%26%22%3C"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pattern_match match;
		struct buffer buffer = {0};
		bool matches;

		cr_assert_null(pattern_check(span_of(cases[i].pattern)), "%s", cases[i].pattern);
		matches =
			pattern_matches(span_of(cases[i].pattern), span_of(cases[i].path), &match);
		cr_assert_eq(matches, cases[i].result != NULL, "%s %s", cases[i].pattern,
			     cases[i].path);
		if (!matches)
			continue;
		pattern_replace(&buffer, span_of(cases[i].text), &match);
		cr_expect_str_eq(taken(&buffer), cases[i].result);
	}
}

Test(http_rules, a_pattern_that_cannot_be_meant_is_refused)
{
	static const char *const wrong[] = {"",     "a",         "*",
					    "/*/*", "http://a/", "/:a/:b/:c/:d/:e/:f/:g/:h/:i"};

	for (size_t i = 0; i < COUNT(wrong); i++)
		cr_expect_not_null(pattern_check(span_of(wrong[i])), "%s", wrong[i]);
}

static const char *headers_of(const char *file, const char *option, const char *path)
{
	struct rules *rules = rules_create();
	struct buffer buffer = {0};

	complaints[0] = '\0';
	if (option != NULL)
		cr_assert_null(rules_add_option(rules, strdup(option)));
	cr_expect_eq(rules_read_headers(rules, span_of(file), note, NULL), complaints[0] == '\0');
	rules_write_headers(rules, path != NULL ? span_of(path) : (struct span){NULL, 0}, &buffer);
	rules_release(rules);
	return taken(&buffer);
}

Test(http_rules, headers_hold_for_the_paths_of_their_pattern)
{
	static const char file[] = "# a comment\n"
				   "/*\n"
				   "  X-All: yes\n"
				   "\n"
				   "/a/*\r\n"
				   "\tX-A:   one  \r\n"
				   "  # not a header\n"
				   "  X-All: also: here\n"
				   "/b\n"
				   "  Cache-Control: no-store\n";

	cr_expect_str_eq(headers_of(file, NULL, "/c"), "X-All: yes\r\n");
	cr_expect_str_eq(headers_of(file, NULL, "/a/x"), "X-All: yes, also: here\r\nX-A: one\r\n");
	cr_expect_str_eq(headers_of(file, NULL, NULL), "");
	cr_expect_str_eq(headers_of(file, "Cache-Control: public", "/c"),
			 "Cache-Control: public\r\nX-All: yes\r\n");
	cr_expect_str_eq(headers_of(file, "cache-control: public", "/b"),
			 "X-All: yes\r\nCache-Control: no-store\r\n");
	cr_expect_str_eq(headers_of(file, "Cache-Control: public", NULL),
			 "Cache-Control: public\r\n");
	cr_expect_str_eq(complaints, "");
}

Test(http_rules, a_line_that_is_no_header_is_named)
{
	static const char file[] = "  X: before any pattern\n"
				   "/a\n"
				   "  no colon\n"
				   "  Bad Name: x\n"
				   "  X-Empty:\n"
				   "  Content-Length: 5\n"
				   "  X-Control: a\001b\n"
				   "  X-Carriage: a\rX-Forged: b\n"
				   "  X-Good: yes\n"
				   "not-a-path\n"
				   "  X: below none\n";

	cr_expect_str_eq(headers_of(file, NULL, "/a"), "X-Good: yes\r\n");
	cr_expect_str_eq(complaints,
			 "_headers:1 _headers:3 _headers:4 _headers:5 _headers:6 _headers:7 "
			 "_headers:8 _headers:10 _headers:11 ");
}

Test(http_rules, an_option_forges_no_header)
{
	static const char *const wrong[] = {"X",          "X: a\r\nY: b",
					    "X: a\nY: b", ": a",
					    "X:",         "Transfer-Encoding: chunked",
					    "date: now"};
	struct rules *rules = rules_create();

	for (size_t i = 0; i < COUNT(wrong); i++)
		cr_expect_not_null(rules_add_option(rules, strdup(wrong[i])), "%s", wrong[i]);
	cr_expect_not(rules_have_headers(rules));
	rules_release(rules);
}

static const char redirects[] = "# comment\n"
				"/old /new\n"
				"/temporary  /new 302  # why\n"
				"/forced /new 301!\n"
				"/blog/:year/* https://blog.example/:splat?y=:year 308\n"
				"/gone /gone.html 404\n"
				"/loop/* /loop/:splat\n"
				"/* /index.html 200\n";

Test(http_rules, the_first_redirect_counts)
{
	static const struct {
		const char *path, *query;
		bool forced;
		int status;
		const char *target;
	} cases[] = {
		{"/old", "", false, 301, "/new"},
		{"/old", "?a=b", false, 301, "/new?a=b"},
		{"/temporary", "", false, 302, "/new"},
		{"/forced", "", false, 301, "/new"},
		{"/forced", "", true, 301, "/new"},
		{"/old", "", true, 0, ""},
		{"/blog/2026/a b", "?q", false, 308, "https://blog.example/a%20b?y=2026"},
		{"/gone", "?q", false, 404, "/gone.html"},
		{"/loop/x", "", false, 200, "/index.html"},
		{"/anything/else", "?q", false, 200, "/index.html"},
	};
	struct rules *rules = rules_create();

	complaints[0] = '\0';
	cr_assert(rules_read_redirects(rules, span_of(redirects), note, NULL), "%s", complaints);
	cr_expect(rules_have_forced(rules));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer target = {0};

		cr_expect_eq(rules_redirect(rules, span_of(cases[i].path), span_of(cases[i].query),
					    cases[i].forced, &target),
			     cases[i].status, "%s", cases[i].path);
		if (cases[i].status != 0)
			cr_expect_str_eq(taken(&target), cases[i].target);
		buffer_dispose(&target);
	}
	rules_release(rules);
}

Test(http_rules, a_line_that_is_no_redirect_is_named)
{
	static const char file[] = "/a\n"
				   "a /b\n"
				   "/a /b 999\n"
				   "/a b\n"
				   "/a //evil.example/\n"
				   "/a ftp://evil.example/\n"
				   "/a https://a.example/ 200\n"
				   "/a /b 301 Country=de\n"
				   "/a /b\001c\n"
				   "/a /b 30\n"
				   "/a /b 302\n";
	struct rules *rules = rules_create();
	struct buffer target = {0};

	complaints[0] = '\0';
	cr_expect_not(rules_read_redirects(rules, span_of(file), note, NULL));
	cr_expect_str_eq(complaints,
			 "_redirects:1 _redirects:2 _redirects:3 _redirects:4 _redirects:5 "
			 "_redirects:6 _redirects:7 _redirects:8 _redirects:9 _redirects:10 ");
	cr_expect_eq(rules_redirect(rules, span_of("/a"), span_of(""), false, &target), 302);
	buffer_dispose(&target);
	rules_release(rules);
}

Test(http_rules, too_much_is_refused)
{
	struct rules *rules = rules_create();
	size_t length = RULES_TEXT_MAX + 1;
	char *text = calloc(1, length);

	complaints[0] = '\0';
	cr_expect_not(rules_read_headers(rules, (struct span){text, length}, note, NULL));
	cr_expect_str_eq(complaints, "_headers:0 ");
	free(text);
	rules_release(rules);
}
