/* SPDX-License-Identifier: MIT */

#include "cases.h"
#include "serve/listing.h"
#include "serve/negotiate.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(http_negotiate, the_most_exact_range_gives_the_quality)
{
	static const struct {
		const char *accept;
		unsigned int quality;
		bool named;
	} cases[] = {
		{"text/html", 1000, true},
		{"TEXT/HTML", 1000, true},
		{"text/html;q=0.5", 500, true},
		{"text/html; q=0.125", 125, true},
		{"text/html;level=1;Q=0.3", 300, true},
		{"text/html;q=0", 0, true},
		{"text/html;q=0.000", 0, true},
		{"text/html;q=1.000", 1000, true},
		{"text/html;q=9", 1000, true},
		{"text/html;q=", 1000, true},
		{"text/*;q=0.4, */*;q=0.9", 400, false},
		{"*/*;q=0.9, text/*;q=0.4", 400, false},
		{"*/*", 1000, false},
		{"*/*, text/html;q=0.1", 100, true},
		{"application/json", 0, false},
		{"text/htm", 0, false},
		{"tex/*", 0, false},
		{"", 0, false},
		{",,  ,", 0, false},
		{" , text/html ;q=0.7 ,", 700, true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		bool named;

		cr_expect_eq(negotiate_media(span_of(cases[i].accept), span_of("text/html"),
					     &named),
			     cases[i].quality, "%s", cases[i].accept);
		cr_expect_eq(named, cases[i].named, "%s", cases[i].accept);
	}
}

Test(http_negotiate, a_listing_is_json_only_for_those_that_prefer_it)
{
	static const struct {
		const char *accept;
		bool json;
	} cases[] = {
		{"application/json", true},
		{"application/json, text/plain, */*", true},
		{"application/json;q=0.9, text/html;q=0.8", true},
		{"application/*, text/html;q=0.8", true},
		{"application/json, text/html", false},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
		{"*/*", false},
		{"application/json;q=0", false},
		{"text/plain", false},
		{"", false},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		cr_expect_eq(listing_wants_json(span_of(cases[i].accept)), cases[i].json, "%s",
			     cases[i].accept);
	cr_expect_not(listing_wants_json((struct span){NULL, 0}));
}

static const char *list_of(uint32_t encodings)
{
	static char text[64];
	bool refused = (encodings & ENCODINGS_WITHOUT_IDENTITY) != 0;
	enum encoding encoding;

	cr_expect_eq(encodings & ~(uint32_t)ENCODINGS_MASK, 0);
	text[0] = '\0';
	while ((encoding = negotiate_next(&encodings)) != ENCODING_IDENTITY) {
		strcat(text, encoding_name(encoding));
		strcat(text, " ");
	}
	return strcat(text, refused ? "or nothing" : "or plain");
}

Test(http_negotiate, encodings_are_taken_in_the_order_of_their_quality)
{
	static const struct {
		const char *accept, *list;
	} cases[] = {
		{"", "or plain"},
		{"gzip", "gzip or plain"},
		{"x-gzip", "gzip or plain"},
		{"GZIP", "gzip or plain"},
		{"gzip, deflate, br, zstd", "br zstd gzip or plain"},
		{"gzip;q=1.0, br;q=0.5", "gzip br or plain"},
		{"br;q=0.001", "br or plain"},
		{"br;q=0, gzip", "gzip or plain"},
		{"*", "br zstd gzip or plain"},
		{"*;q=0.5, gzip", "gzip br zstd or plain"},
		{"gzip, *;q=0", "gzip or nothing"},
		{"br;q=1, *;q=0", "br or nothing"},
		{"*;q=0", "or nothing"},
		{"identity;q=0", "or nothing"},
		{"identity;q=0, gzip", "gzip or nothing"},
		{"identity", "or plain"},
		{"identity, *;q=0", "or plain"},
		{"identity;q=0.5, gzip;q=0.2, br;q=0.9", "br or plain"},
		{"identity, gzip", "gzip or plain"},
		{"identity;q=1, gzip;q=0.9", "or plain"},
		{"compress, deflate", "or plain"},
		{"gzip;q=0.5;x=1, br; q=0.7", "br gzip or plain"},
		{"gzip gzip", "or plain"},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		cr_expect_str_eq(list_of(negotiate_encodings(span_of(cases[i].accept))),
				 cases[i].list, "%s: %s", cases[i].accept,
				 list_of(negotiate_encodings(span_of(cases[i].accept))));
}
