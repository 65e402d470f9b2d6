/* SPDX-License-Identifier: MIT */
/*
 * Gives bytes to everything of the command that reads what strangers write: requests, paths,
 * ranges, dates and conditions. clang's libFuzzer calls LLVMFuzzerTestOneInput; replay.c does so
 * with files, which makes the corpus a test.
 *
 *   CC=clang meson setup build/fuzz -Dtests=enabled -Db_sanitize=address,undefined
 *   ninja -C build/fuzz && build/fuzz/tests/fuzz/fuzz_http -max_len=4096 CORPUS tests/fuzz/http
 */
#include <stdint.h>
#include <stdlib.h>

#include "serve/conditional.h"
#include "serve/httpdate.h"
#include "serve/range.h"
#include "serve/request.h"
#include "serve/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_limits limits = {
	.head_bytes = 4096,
	.target_bytes = 2048,
	.body_bytes = 1000,
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

static bool lies_within(struct span span, const char *text, size_t length)
{
	return span.at == NULL || (span.at >= text && span.at + span.length <= text + length);
}

/* The plain form has no way out, and is its own plain form. */
static void resolve(struct span path)
{
	static char plain[RESOLVE_PATH_MAX], again[RESOLVE_PATH_MAX];
	static char memory[3 * RESOLVE_PATH_MAX];
	struct text text = text_in(memory, sizeof(memory));
	size_t length, again_length;

	if (resolve_path(path, true, plain, &length) != 0)
		return;
	must(length > 0 && length < RESOLVE_PATH_MAX && plain[0] == '/' && plain[length] == '\0');
	must(strlen(plain) == length);
	must(strstr(plain, "//") == NULL && strstr(plain, "/../") == NULL &&
	     strstr(plain, "/./") == NULL);
	must(length < 3 || strcmp(plain + length - 3, "/..") != 0);
	resolve_escape(&text, (struct span){plain, length});
	must(!text.overflowed);
	must(resolve_path((struct span){memory, text.length}, true, again, &again_length) == 0);
	must(length == again_length && memcmp(plain, again, length) == 0);
}

static void read_target(struct span text)
{
	struct target target;

	if (!target_split(text, &target))
		return;
	must(lies_within(target.query, text.at, text.length));
	resolve(target.path);
}

static void read_conditions(const struct request *request)
{
	static const struct validators validators = {{"\"a\"", 3}, true, 784111777, 784111778};

	conditions_judge(&request->conditions, &validators, 1700000000);
	conditions_allow_range(&request->conditions, &validators, 1700000000);
}

static void read_range(struct span value)
{
	static const uint64_t sizes[] = {0, 1, 2, 1000};
	struct range ranges[RANGES_MAX];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t left = sizes[i];
		size_t count = 0;

		if (ranges_parse(value, sizes[i], ranges, &count) != RANGE_SATISFIABLE)
			continue;
		must(count > 0 && count <= RANGES_MAX);
		for (size_t at = 0; at < count; at++) {
			must(ranges[at].length > 0 && ranges[at].length <= left);
			must(ranges[at].first + ranges[at].length <= sizes[i]);
			left -= ranges[at].length;
		}
	}
}

static void read_requests(const char *text, size_t length)
{
	struct request request;
	size_t at = 0;

	while (request_parse(&request, &limits, text + at, length - at) == REQUEST_COMPLETE) {
		must(request.length > 0 && request.length <= length - at);
		must(lies_within(request.target, text + at, request.length));
		must(lies_within(request.range, text + at, request.length));
		read_target(request.target);
		read_conditions(&request);
		if (request.range.at != NULL)
			read_range(request.range);
		/* What is complete stays what it is when less follows. */
		must(request_parse(&request, &limits, text + at, request.length) ==
		     REQUEST_COMPLETE);
		must(request_head_may_end(text + at, request.length, request.length - 1));
		at += request.length;
	}
	must(request.status == 0 || request.status >= 400);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own: what reads beyond the end is seen. */
	char *text = malloc(size + 1);
	int64_t seconds;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text = realloc(text, size > 0 ? size : 1);
	must(text != NULL);
	read_requests(text, size);
	resolve((struct span){text, size});
	read_range((struct span){text, size});
	httpdate_parse((struct span){text, size}, 1700000000, &seconds);
	free(text);
	return 0;
}
