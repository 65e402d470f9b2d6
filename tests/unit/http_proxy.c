/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>

#include "cases.h"
#include "serve/proxy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *text_of(struct proxy_address address)
{
	static char text[INET6_ADDRSTRLEN];

	proxy_write(&address, text);
	return text;
}

Test(http_proxy, version_1_names_the_client)
{
	static const struct {
		const char *header;
		enum proxy_outcome outcome;
		const char *client;
	} cases[] = {
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", PROXY_COMPLETE, "192.0.2.1"},
		{"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", PROXY_COMPLETE, "2001:db8::1"},
		{"PROXY UNKNOWN\r\n", PROXY_COMPLETE, "-"},
		{"PROXY UNKNOWN whatever it says\r\n", PROXY_COMPLETE, "-"},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\n", PROXY_WRONG, NULL},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 65536\r\n", PROXY_WRONG, NULL},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80 x\r\n", PROXY_WRONG, NULL},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n", PROXY_WRONG, NULL},
		{"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", PROXY_WRONG, NULL},
		{"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", PROXY_WRONG, NULL},
		{"PROXY \r\n", PROXY_WRONG, NULL},
		{"GET / HTTP/1.1\r\n", PROXY_WRONG, NULL},
		{"PROXX", PROXY_WRONG, NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t length = strlen(cases[i].header), taken = 0;
		struct proxy_address client = {0};

		cr_expect_eq(proxy_read(cases[i].header, length, &taken, &client), cases[i].outcome,
			     "%s", cases[i].header);
		if (cases[i].outcome != PROXY_COMPLETE)
			continue;
		cr_expect_eq(taken, length);
		cr_expect_str_eq(text_of(client), cases[i].client);
		for (size_t cut = 0; cut < length; cut++)
			cr_expect_eq(proxy_read(cases[i].header, cut, &taken, &client),
				     PROXY_INCOMPLETE, "%zu of %s", cut, cases[i].header);
	}
}

Test(http_proxy, a_first_line_without_an_end_is_refused)
{
	char line[200] = "PROXY UNKNOWN ";
	struct proxy_address client;
	size_t taken;

	memset(line + 14, 'a', sizeof(line) - 14);
	cr_expect_eq(proxy_read(line, 106, &taken, &client), PROXY_INCOMPLETE);
	cr_expect_eq(proxy_read(line, 107, &taken, &client), PROXY_WRONG);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

Test(http_proxy, version_2_names_the_client)
{
	static const struct {
		const char *header;
		size_t length;
		enum proxy_outcome outcome;
		const char *client;
	} cases[] = {
		{SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\4\xd2\0P", 28, PROXY_COMPLETE,
		 "192.0.2.1"},
		/* With something behind the addresses. */
		{SIGNATURE "\x21\x11\0\x0f\xc0\0\2\1\xc0\0\2\2\4\xd2\0P\4\0\0", 31, PROXY_COMPLETE,
		 "192.0.2.1"},
		{SIGNATURE "\x21\x21\0\x24\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
			   "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\0\2",
		 52, PROXY_COMPLETE, "2001:db8::1"},
		{SIGNATURE "\x20\0\0\0", 16, PROXY_COMPLETE, "-"},
		{SIGNATURE "\x21\x31\0\0", 16, PROXY_COMPLETE, "-"},
		{SIGNATURE "\x31\x11\0\0", 16, PROXY_WRONG, NULL},
		{SIGNATURE "\x22\x11\0\0", 16, PROXY_WRONG, NULL},
		{SIGNATURE "\x21\x11\0\4abcd", 20, PROXY_WRONG, NULL},
		{SIGNATURE "\x21\x11\xff\xff", 16, PROXY_WRONG, NULL},
		{"\r\n\r\nGET ", 8, PROXY_WRONG, NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proxy_address client = {0};
		size_t taken = 0;

		cr_expect_eq(proxy_read(cases[i].header, cases[i].length, &taken, &client),
			     cases[i].outcome, "case %zu", i);
		if (cases[i].outcome != PROXY_COMPLETE)
			continue;
		cr_expect_eq(taken, cases[i].length);
		cr_expect_str_eq(text_of(client), cases[i].client);
		for (size_t cut = 0; cut < cases[i].length; cut++)
			cr_expect_eq(proxy_read(cases[i].header, cut, &taken, &client),
				     PROXY_INCOMPLETE, "%zu of case %zu", cut, i);
	}
}

Test(http_proxy, a_net_has_the_addresses_that_share_its_bits)
{
	static const struct {
		const char *net, *inside, *outside;
	} cases[] = {
		{"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"0.0.0.0/0", "8.8.8.8", "2001:db8::1"},
		{"192.0.2.0/25", "192.0.2.127", "192.0.2.128"},
		{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
		{"::1", "::1", "::2"},
	};
	static const char *const wrong[] = {"",          "10.0.0.0/33", "::/129",      "a",
					    "10.0.0.0/", "10/8",        "10.0.0.0/8x", "/8"};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proxy_net net, inside, outside;

		cr_assert(proxy_read_net(cases[i].net, &net), "%s", cases[i].net);
		cr_assert(proxy_read_net(cases[i].inside, &inside));
		cr_assert(proxy_read_net(cases[i].outside, &outside));
		cr_expect(proxy_net_has(&net, &inside.address), "%s", cases[i].net);
		cr_expect_not(proxy_net_has(&net, &outside.address), "%s", cases[i].net);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct proxy_net net;

		cr_expect_not(proxy_read_net(wrong[i], &net), "%s", wrong[i]);
	}
}

Test(http_proxy, the_last_address_that_is_not_trusted_is_the_client)
{
	static const struct {
		const char *forwarded, *x_forwarded_for, *client;
	} cases[] = {
		{NULL, "192.0.2.1", "192.0.2.1"},
		{NULL, "198.51.100.7, 192.0.2.1", "192.0.2.1"},
		{NULL, "192.0.2.1, 10.0.0.1, 10.0.0.2", "192.0.2.1"},
		{NULL, "10.0.0.1, 10.0.0.2", "10.0.0.1"},
		{NULL, "forged, 192.0.2.1", "192.0.2.1"},
		{NULL, "192.0.2.1, forged", "-"},
		{NULL, "192.0.2.1, forged, 10.0.0.1", "10.0.0.1"},
		{NULL, "192.0.2.1:8080", "192.0.2.1"},
		{NULL, "[2001:db8::1]:80", "2001:db8::1"},
		{NULL, "2001:db8::1", "2001:db8::1"},
		{NULL, "", "-"},
		{NULL, ",,", "-"},
		{"for=192.0.2.1", NULL, "192.0.2.1"},
		{"for=192.0.2.1;proto=https, For=\"[2001:db8::1]:80\";by=x", NULL, "2001:db8::1"},
		{"for=192.0.2.1, for=10.0.0.1", "198.51.100.7", "192.0.2.1"},
		{"for=unknown", "198.51.100.7", "-"},
		{"for=_hidden", NULL, "-"},
		{"proto=https", NULL, "-"},
		{NULL, NULL, "-"},
	};
	struct proxy_net trusted;

	cr_assert(proxy_read_net("10.0.0.0/8", &trusted));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span none = {NULL, 0};
		struct span forwarded = cases[i].forwarded != NULL ? span_of(cases[i].forwarded)
								   : none;
		struct span x = cases[i].x_forwarded_for != NULL ? span_of(cases[i].x_forwarded_for)
								 : none;

		cr_expect_str_eq(text_of(proxy_forwarded(forwarded, x, &trusted, 1)),
				 cases[i].client, "case %zu", i);
	}
}
