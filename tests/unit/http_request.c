/* SPDX-License-Identifier: MIT */

#include <stdio.h>
#include <stdlib.h>

#include "cases.h"
#include "serve/request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HOST "Host: h\r\n"

static const struct request_limits limits = {
	.head_bytes = 1024,
	.target_bytes = 256,
	.body_bytes = 1000,
};

static struct request request;

static enum request_outcome parse(const char *text)
{
	return request_parse(&request, &limits, text, strlen(text));
}

static void expect_span(struct span span, const char *expected)
{
	cr_expect(span.at != NULL && span_equals(span, span_of(expected)), "'%.*s' is not '%s'",
		  (int)span.length, span.at, expected);
}

Test(http_request, a_head_is_read)
{
	static const char text[] = "GET /a?b HTTP/1.1\r\n"
				   "host: example.org:80\r\n"
				   "RANGE:  bytes=0-1 \r\n"
				   "If-Range: \"x\"\r\n"
				   "If-Match: \"m\"\r\n"
				   "If-None-Match: \"n\"\r\n"
				   "If-Modified-Since: yesterday\r\n"
				   "If-Unmodified-Since: today\r\n"
				   "User-Agent: curl\r\n"
				   "Referer:\r\n"
				   "X-Other: 1\r\n"
				   "\r\n";

	cr_assert_eq(parse(text), REQUEST_COMPLETE);
	cr_expect_eq(request.length, strlen(text));
	cr_expect_eq(request.method, HTTP_GET);
	cr_expect_eq(request.minor_version, 1);
	cr_expect(request.keep_alive);
	cr_expect(request.conditional);
	expect_span(request.target, "/a?b");
	expect_span(request.host, "example.org:80");
	expect_span(request.range, "bytes=0-1");
	expect_span(request.conditions.if_range, "\"x\"");
	expect_span(request.conditions.if_match, "\"m\"");
	expect_span(request.conditions.if_none_match, "\"n\"");
	expect_span(request.conditions.if_modified_since, "yesterday");
	expect_span(request.conditions.if_unmodified_since, "today");
	expect_span(request.user_agent, "curl");
	expect_span(request.referer, "");
}

Test(http_request, requests_behind_one_another_are_taken_one_at_a_time)
{
	static const char text[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n"
				   "HEAD /2 HTTP/1.1\r\n" HOST "\r\n"
				   "\r\nGET /3 HTTP/1.0\r\n\r\n"
				   "GET /4 HT";
	size_t at = 0;

	cr_assert_eq(parse(text), REQUEST_COMPLETE);
	expect_span(request.target, "/1");
	at += request.length;
	cr_assert_eq(parse(text + at), REQUEST_COMPLETE);
	expect_span(request.target, "/2");
	cr_expect_eq(request.method, HTTP_HEAD);
	at += request.length;
	cr_assert_eq(parse(text + at), REQUEST_COMPLETE);
	expect_span(request.target, "/3");
	cr_expect_not(request.keep_alive);
	at += request.length;
	cr_expect_eq(parse(text + at), REQUEST_INCOMPLETE);
}

Test(http_request, whether_the_connection_stays_follows_version_and_header)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{"GET / HTTP/1.1\r\n" HOST "\r\n", true},
		{"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert_eq(parse(cases[i].text), REQUEST_COMPLETE, "%s", cases[i].text);
		cr_expect_eq(request.keep_alive, cases[i].keep_alive, "%s", cases[i].text);
		cr_expect_eq(request.length, strlen(cases[i].text));
	}
}

Test(http_request, a_later_minor_version_is_read_as_1_1)
{
	for (char digit = '2'; digit <= '9'; digit++) {
		char text[] = "\r\nGET /a HTTP/1.x\r\nHost: h\r\nIf-Match: \"m\"\r\n\r\n";

		*strchr(text, 'x') = digit;
		cr_assert_eq(parse(text), REQUEST_COMPLETE, "%c", digit);
		cr_expect_eq(request.length, strlen(text));
		cr_expect_eq(request.minor_version, 1);
		cr_expect(request.keep_alive);
		expect_span(request.target, "/a");
		expect_span(request.host, "h");
		expect_span(request.conditions.if_match, "\"m\"");
		for (size_t length = 0; length < strlen(text); length++)
			cr_expect_eq(request_parse(&request, &limits, text, length),
				     REQUEST_INCOMPLETE, "%zu bytes", length);
	}
}

Test(http_request, a_host_may_be_any_registered_name)
{
	static const char *const hosts[] = {
		"",          "h",           "h:80",  "[::1]:8080",
		"a-b_c~d.e", "!$&'()*+,;=", "a%20b", "[fe80::1%25eth0]",
	};

	for (size_t i = 0; i < COUNT(hosts); i++) {
		char text[128];

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		cr_expect_eq(parse(text), REQUEST_COMPLETE, "'%s'", hosts[i]);
	}
}

/* How the conditions of these header lines judge a file with the tag "a". */
static enum verdict judge(const char *lines)
{
	static const struct validators validators = {{"\"a\"", 3}, true, 784111777, 0};
	char text[512];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s\r\n", lines);
	cr_assert_eq(parse(text), REQUEST_COMPLETE, "%s", lines);
	return conditions_judge(&request.conditions, &validators, 1700000000);
}

Test(http_request, lines_of_a_list_header_are_one_list)
{
	static const struct {
		const char *lines;
		enum verdict verdict;
	} cases[] = {
		{"If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n", VERDICT_NOT_MODIFIED},
		{"If-None-Match: \"b\"\r\nif-none-match:\"a\"\r\n", VERDICT_NOT_MODIFIED},
		{"If-None-Match: \"b\"\r\nA: \"c\"\r\nIf-None-Match: \"x\", W/\"a\"\r\n",
		 VERDICT_NOT_MODIFIED},
		{"If-None-Match:\r\nIf-None-Match: *\r\n", VERDICT_NOT_MODIFIED},
		{"If-None-Match: \"b\"\r\nA: \"a\"\r\nIf-None-Match: \"c\"\r\n", VERDICT_SEND},
		{"If-None-Match: \"b\"\r\nIf-None-Matches: \"a\"\r\nIf-None-Match:\r\n",
		 VERDICT_SEND},
		{"If-None-Match: \"b\"\r\nA: If-None-Match: \"a\"\r\nIf-None-Match: c\r\n",
		 VERDICT_SEND},
		{"If-Match: \"a\"\r\nIf-Match: \"b\"\r\n", VERDICT_SEND},
		{"If-Match: \"b\"\r\nA: b\r\nIf-Match: \"c\"\r\nIf-Match: \"a\"\r\n", VERDICT_SEND},
		{"If-Match: \"b\"\r\nIf-None-Match: \"a\"\r\nIf-Match: \"c\"\r\n",
		 VERDICT_PRECONDITION_FAILED},
		/* What is no list has no value when it comes twice. */
		{"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", VERDICT_NOT_MODIFIED},
		{"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		 "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
		 VERDICT_SEND},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		cr_expect_eq(judge(cases[i].lines), cases[i].verdict, "%s", cases[i].lines);
}

struct refusal {
	const char *text;
	int status;
};

static void assert_refused(const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cr_expect_eq(parse(cases[i].text), REQUEST_REFUSED, "'%s'", cases[i].text);
		cr_expect_eq(request.status, cases[i].status, "%d for '%s'", request.status,
			     cases[i].text);
	}
}

Test(http_request, a_wrong_line_is_refused_with_its_status)
{
	static const struct refusal cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET /\r\n\r\n", 400},
		{"GET / \r\n\r\n", 400},
		{"GET\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /  HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
		{"GET /a b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET / HTP/1.1\r\n" HOST "\r\n", 400},
		{"GET / http/1.1\r\n" HOST "\r\n", 400},
		{"GET / HTTP/11.1\r\n" HOST "\r\n", 400},
		{"GET / HTTP/1\r\n" HOST "\r\n", 400},
		{"GET / RTSP/1.0\r\n" HOST "\r\n", 400},
		{"GET / ICE/1.0\r\n" HOST "\r\n", 400},
		{"GET /\tHTTP/1.1\r\n" HOST "\r\n", 400},
		{"\x16\x03\x01\x02", 400},
		{"{}\r\n\r\n", 400},
		{": /\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
		{"GET / HTTP/3.0\r\n" HOST "\r\n", 505},
		{"GET / HTTP/0.9\r\n" HOST "\r\n", 505},
		{"GET / HTTP/9.9\r\n" HOST "\r\n", 505},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"FOO / HTTP/1.1\r\n" HOST "\r\n", 501},
		{"get / HTTP/1.1\r\n" HOST "\r\n", 501},
		{"GETS / HTTP/1.1\r\n" HOST "\r\n", 501},
		{"X-Y / HTTP/1.1\r\n" HOST "\r\n", 501},
		{"FOO /\r\n\r\n", 400},
		{"FOO", 400},
	};

	assert_refused(cases, COUNT(cases));
}

Test(http_request, wrong_line_ends_and_headers_are_refused_with_their_status)
{
	static const struct refusal cases[] = {
		/* Line ends, which two readers could see in two places. */
		{"GET / HTTP/1.0\n\n", 400},
		{"GET / HTTP/1.1\n" HOST "\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n", 400},
		{"GET / HTTP/1.1\r" HOST "\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n A: b\r\n" HOST "\r\n", 400},
		/* Headers. */
		{"GET / HTTP/1.1\r\n" HOST "A\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
		{"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400},
		{"GET / HTTP/1.2\r\n\r\n", 400},
		{"GET / HTTP/1.2\r\n" HOST "A : b\r\n\r\n", 400},
	};

	assert_refused(cases, COUNT(cases));
}

Test(http_request, a_wrong_body_is_refused_with_its_status)
{
	static const struct refusal cases[] = {
		/* Bodies: there is one way to say how long one is. */
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", 413},
		{"GET / HTTP/1.1\r\n" HOST
		 "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
		 400},
		{"GET / HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
		 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	};

	assert_refused(cases, COUNT(cases));
}

Test(http_request, what_is_too_long_is_refused_whole_or_not)
{
	static char text[4096];
	int length;

	length = snprintf(text, sizeof(text), "GET /%0256d HTTP/1.1\r\n" HOST "\r\n", 0);
	cr_expect_eq(request_parse(&request, &limits, text, (size_t)length), REQUEST_REFUSED);
	cr_expect_eq(request.status, 414);

	length = snprintf(text, sizeof(text), "GET /%0600d", 0);
	cr_expect_eq(request_parse(&request, &limits, text, (size_t)length), REQUEST_REFUSED);
	cr_expect_eq(request.status, 414);

	length = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "A: %01000d\r\n\r\n", 0);
	cr_expect_eq(request_parse(&request, &limits, text, (size_t)length), REQUEST_REFUSED);
	cr_expect_eq(request.status, 431);

	length = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "A: %01000d", 0);
	cr_expect_eq(request_parse(&request, &limits, text, (size_t)length), REQUEST_REFUSED);
	cr_expect_eq(request.status, 431);

	length = snprintf(text, sizeof(text), "GET /%0255d HTTP/1.1\r\n" HOST "A: %0700d\r\n\r\n",
			  0, 0);
	cr_expect_eq(request_parse(&request, &limits, text, (size_t)length), REQUEST_COMPLETE);

	memset(text, '\n', sizeof(text));
	cr_expect_eq(request_parse(&request, &limits, text, sizeof(text)), REQUEST_REFUSED);
}

Test(http_request, every_part_of_a_head_is_incomplete)
{
	static const char text[] = "\r\nGET /a HTTP/1.1\r\n" HOST "A: b\r\n\r\n";

	for (size_t length = 0; length < strlen(text); length++) {
		cr_expect_eq(request_parse(&request, &limits, text, length), REQUEST_INCOMPLETE,
			     "%zu bytes", length);
		cr_expect_eq(request.length, 0);
	}
	cr_expect_eq(parse(text), REQUEST_COMPLETE);
}

Test(http_request, a_head_ends_before_its_body)
{
	static const struct {
		const char *text;
		uint64_t body_bytes;
		bool chunked;
	} cases[] = {
		{"GET / HTTP/1.1\r\n" HOST "\r\n", 0, false},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 0, false},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", 10, false},
		{"POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n", 1000, false},
		{"PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 0, true},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char all[512];

		cr_expect_eq(parse(cases[i].text), REQUEST_COMPLETE, "%s", cases[i].text);
		snprintf(all, sizeof(all), "%sGET /next", cases[i].text);
		cr_expect_eq(parse(all), REQUEST_COMPLETE, "%s", cases[i].text);
		cr_expect_eq(request.length, strlen(cases[i].text));
		cr_expect_eq(request.body_bytes, cases[i].body_bytes);
		cr_expect_eq(request.chunked, cases[i].chunked);
	}
}

Test(http_request, an_expectation_and_split_ranges_are_noticed)
{
	cr_assert_eq(parse("GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
			   "Content-Length: 3\r\n\r\n"),
		     REQUEST_COMPLETE);
	cr_expect(request.expects);
	cr_expect_eq(request.body_bytes, 3);
	cr_assert_eq(parse("GET / HTTP/1.1\r\n" HOST "Range: bytes=0-1\r\n"
			   "Range: bytes=2-3\r\n\r\n"),
		     REQUEST_COMPLETE);
	cr_expect(request.range_split);
}

Test(http_request, the_end_of_a_head_is_seen_wherever_it_is_cut)
{
	static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
	size_t length = strlen(text);

	for (size_t cut = 0; cut < length; cut++) {
		cr_expect(request_head_may_end(text, length, cut), "cut at %zu", cut);
		cr_expect_not(request_head_may_end(text, length - 1, cut), "cut at %zu", cut);
	}
	cr_expect(request_head_may_end("a\n\n", 3, 2));
	cr_expect_not(request_head_may_end("", 0, 0));
}

Test(http_request, noise_is_read_without_harm)
{
	static const char alphabet[] = "GETHP/1.0 \r\n\r\n:aA-,;=chunked0123%\x80\x00";
	char text[200];

	srand(1);
	for (int round = 0; round < 200000; round++) {
		size_t length = (size_t)rand() % sizeof(text), prefix = 0;

		if (round % 2 == 0) {
			prefix = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST);
			length = length < prefix ? prefix : length;
		}
		for (size_t i = prefix; i < length; i++)
			text[i] = alphabet[(size_t)rand() % sizeof(alphabet)];
		if (request_parse(&request, &limits, text, length) != REQUEST_REFUSED)
			cr_assert_leq(request.length, length);
		else
			cr_assert(request.status >= 400);
	}
}
