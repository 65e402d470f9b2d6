/* SPDX-License-Identifier: MIT */

#include "cases.h"
#include "serve/conditional.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define THEN "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static const int64_t now = 1700000000;
static const struct validators validators = {
	.etag = {"\"a-1\"", 5}, .dated = true, .modified = 784111777};

static struct span span_or_none(const char *text)
{
	return text != NULL ? span_of(text) : (struct span){NULL, 0};
}

Test(http_conditional, the_verdict_follows_the_order_of_precedence)
{
	static const struct {
		const char *match, *unmodified, *none_match, *modified;
		enum verdict verdict;
	} cases[] = {
		{NULL, NULL, NULL, NULL, VERDICT_SEND},

		{"\"a-1\"", NULL, NULL, NULL, VERDICT_SEND},
		{"*", NULL, NULL, NULL, VERDICT_SEND},
		{"\"b\", \"a-1\"", NULL, NULL, NULL, VERDICT_SEND},
		{"\"b\"", NULL, NULL, NULL, VERDICT_PRECONDITION_FAILED},
		{"W/\"a-1\"", NULL, NULL, NULL, VERDICT_PRECONDITION_FAILED},
		{"", NULL, NULL, NULL, VERDICT_PRECONDITION_FAILED},
		{"a-1", NULL, NULL, NULL, VERDICT_PRECONDITION_FAILED},
		{"\"a-1\"", BEFORE, NULL, NULL, VERDICT_SEND},
		{"\"b\"", AFTER, NULL, NULL, VERDICT_PRECONDITION_FAILED},

		{NULL, BEFORE, NULL, NULL, VERDICT_PRECONDITION_FAILED},
		{NULL, THEN, NULL, NULL, VERDICT_SEND},
		{NULL, AFTER, NULL, NULL, VERDICT_SEND},
		{NULL, "nonsense", NULL, NULL, VERDICT_SEND},

		{NULL, NULL, "\"a-1\"", NULL, VERDICT_NOT_MODIFIED},
		{NULL, NULL, "W/\"a-1\"", NULL, VERDICT_NOT_MODIFIED},
		{NULL, NULL, "\"x\", \"y,z\",W/\"a-1\"", NULL, VERDICT_NOT_MODIFIED},
		{NULL, NULL, "*", NULL, VERDICT_NOT_MODIFIED},
		{NULL, NULL, " * ", NULL, VERDICT_NOT_MODIFIED},
		{NULL, NULL, "\"b\"", NULL, VERDICT_SEND},
		{NULL, NULL, "\"a-1", NULL, VERDICT_SEND},
		{NULL, NULL, "\"x,\"a-1\"", NULL, VERDICT_SEND},
		{NULL, NULL, "\"b\"", AFTER, VERDICT_SEND},
		{NULL, NULL, "\"a-1\"", BEFORE, VERDICT_NOT_MODIFIED},

		{NULL, NULL, NULL, BEFORE, VERDICT_SEND},
		{NULL, NULL, NULL, THEN, VERDICT_NOT_MODIFIED},
		{NULL, NULL, NULL, AFTER, VERDICT_NOT_MODIFIED},
		{NULL, NULL, NULL, "nonsense", VERDICT_SEND},

		{"\"a-1\"", NULL, "\"a-1\"", NULL, VERDICT_NOT_MODIFIED},
		{"\"b\"", NULL, "\"a-1\"", NULL, VERDICT_PRECONDITION_FAILED},
		{NULL, BEFORE, NULL, THEN, VERDICT_PRECONDITION_FAILED},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conditions conditions = {
			.if_match = span_or_none(cases[i].match),
			.if_unmodified_since = span_or_none(cases[i].unmodified),
			.if_none_match = span_or_none(cases[i].none_match),
			.if_modified_since = span_or_none(cases[i].modified),
		};

		cr_expect_eq(conditions_judge(&conditions, &validators, now), cases[i].verdict,
			     "case %zu", i);
	}
}

Test(http_conditional, a_range_counts_only_for_the_version_it_names)
{
	static const struct {
		const char *value;
		bool allowed;
	} cases[] = {
		{NULL, true},
		{"\"a-1\"", true},
		{THEN, true},
		{" \"a-1\" ", true},
		{"\"b\"", false},
		{"a-1", false},
		{BEFORE, false},
		{AFTER, false},
		{"W/\"a-1\"", false},
		{"*", false},
		{"", false},
		{"nonsense", false},
		{"\"a-1\",\"b\"", false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conditions conditions = {.if_range = span_or_none(cases[i].value)};

		cr_expect_eq(conditions_allow_range(&conditions, &validators, now),
			     cases[i].allowed, "case %zu", i);
	}
}
