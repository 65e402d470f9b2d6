/* SPDX-License-Identifier: MIT */

#include <stdlib.h>

#include "cases.h"
#include "serve/resolve.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(http_resolve, paths_take_their_plain_form)
{
	static const struct {
		const char *path, *plain;
	} cases[] = {
		{"/", "/"},
		{"/a", "/a"},
		{"/a/b.html", "/a/b.html"},
		{"/a/", "/a/"},
		{"//", "/"},
		{"//a", "/a"},
		{"///a///b///", "/a/b/"},
		{"/.", "/"},
		{"/./", "/"},
		{"/./a/./b/.", "/a/b/"},
		{"/%61%2fb", "/a/b"},
		{"/%41", "/A"},
		{"/%2541", "/%41"},
		{"/%252e%252e/a", "/%2e%2e/a"},
		{"/a%20b", "/a b"},
		{"/a+b", "/a+b"},
		{"/%c3%a4", "/\xc3\xa4"},
		{"/\xc3\xa4", "/\xc3\xa4"},
		{"/a..b", "/a..b"},
		{"/a..", "/a.."},
		{"/a.", "/a."},
		{"/a\\..\\b", "/a\\..\\b"},
		{"/a;b=c", "/a;b=c"},
		{"/%2F%2Fa", "/a"},
		{"/a%3Fb", "/a?b"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char plain[RESOLVE_PATH_MAX];
		size_t length = 0;

		cr_assert_eq(resolve_path(span_of(cases[i].path), false, plain, &length), 0, "%s",
			     cases[i].path);
		cr_expect_str_eq(plain, cases[i].plain);
		cr_expect_eq(length, strlen(cases[i].plain));
	}
}

Test(http_resolve, what_leads_out_or_is_hidden_is_refused)
{
	static const struct {
		const char *path;
		int status, with_dotfiles;
	} cases[] = {
		{"/..", 403, 403},
		{"/../", 403, 403},
		{"/../etc/passwd", 403, 403},
		{"/a/../b", 403, 403},
		{"/a/..", 403, 403},
		{"/%2e%2e/etc/passwd", 403, 403},
		{"/%2e%2e%2fetc/passwd", 403, 403},
		{"/..%2f..%2fetc", 403, 403},
		{"/.%2e/a", 403, 403},
		{"/%2E./a", 403, 403},
		{"//../a", 403, 403},
		{"/./../a", 403, 403},
		{"/.git", 403, 0},
		{"/.git/config", 403, 0},
		{"/a/.hidden", 403, 0},
		{"/...", 403, 0},
		{"/.../a", 403, 0},
		{"/..a", 403, 0},
		{"/%2egit", 403, 0},
		{"/..\\..\\a", 403, 0},
		{"/a%00b", 400, 400},
		{"/%00", 400, 400},
		{"/a.html%00.png", 400, 400},
		{"/a%0d%0ab", 400, 400},
		{"/a%1f", 400, 400},
		{"/a%7f", 400, 400},
		{"/a\x01", 400, 400},
		{"/%", 400, 400},
		{"/%4", 400, 400},
		{"/%zz", 400, 400},
		{"/%4g", 400, 400},
		{"/a%%20", 400, 400},
		{"/%u0041", 400, 400},
		{"", 400, 400},
		{"a", 400, 400},
		{"*", 400, 400},
		{"..", 400, 400},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char plain[RESOLVE_PATH_MAX];
		size_t length;

		cr_expect_eq(resolve_path(span_of(cases[i].path), false, plain, &length),
			     cases[i].status, "%s", cases[i].path);
		cr_expect_eq(resolve_path(span_of(cases[i].path), true, plain, &length),
			     cases[i].with_dotfiles, "%s, with dotfiles", cases[i].path);
	}
}

Test(http_resolve, a_path_that_is_too_long_is_refused)
{
	char path[2 * RESOLVE_PATH_MAX], plain[RESOLVE_PATH_MAX];
	size_t length;

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	cr_expect_eq(resolve_path((struct span){path, RESOLVE_PATH_MAX - 1}, false, plain, &length),
		     0);
	cr_expect_eq(length, RESOLVE_PATH_MAX - 1);
	cr_expect_eq(resolve_path((struct span){path, RESOLVE_PATH_MAX}, false, plain, &length),
		     414);
	cr_expect_eq(resolve_path((struct span){path, sizeof(path)}, false, plain, &length), 414);
}

Test(http_resolve, a_target_has_a_path_and_a_query)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
		{"/", "/", ""},
		{"/a?b", "/a", "?b"},
		{"/a?", "/a", "?"},
		{"/a?b?c", "/a", "?b?c"},
		{"/?/../x", "/", "?/../x"},
		{"http://host/a?b", "/a", "?b"},
		{"HTTP://host:80/a", "/a", ""},
		{"http://host", "/", ""},
		{"http://host?b", "/", "?b"},
		{"http://host/", "/", ""},
		{"http://u@host//x", "//x", ""},
	};
	static const char *const wrong[] = {"",       "*", "a", "host:80", "?a", "ftp://host/a",
					    "http:/a"};
	struct target target;

	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert(target_split(span_of(cases[i].target), &target), "%s", cases[i].target);
		cr_expect(span_equals(target.path, span_of(cases[i].path)), "%s", cases[i].target);
		cr_expect(span_equals(target.query, span_of(cases[i].query)), "%s",
			  cases[i].target);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		cr_expect_not(target_split(span_of(wrong[i]), &target), "%s", wrong[i]);
}

Test(http_resolve, what_is_escaped_resolves_to_what_it_was)
{
	for (int round = 0; round < 2000; round++) {
		char path[64], memory[256], plain[RESOLVE_PATH_MAX];
		struct text text = text_in(memory, sizeof(memory));
		size_t length = 2 + (size_t)rand() % (sizeof(path) - 2), back = 0;

		for (size_t i = 0; i < length; i++) {
			do {
				path[i] = (char)(0x20 + rand() % 0xe0);
			} while (path[i] == 0x7f || path[i] == '/' || path[i] == '.');
		}
		path[0] = '/';
		resolve_escape(&text, (struct span){path, length});
		cr_assert_not(text.overflowed);
		cr_assert_eq(resolve_path((struct span){memory, text.length}, false, plain, &back),
			     0);
		cr_assert(span_equals((struct span){plain, back}, (struct span){path, length}));
		for (size_t i = 0; i < text.length; i++)
			cr_assert(memory[i] > 0x20 && memory[i] < 0x7f);
	}
}
