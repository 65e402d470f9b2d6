/* SPDX-License-Identifier: MIT */
/*
 * Gives bytes to what `sluice serve` reads beside requests: what clients accept, rules of a site,
 * headers of proxies, and names of files on their way into a listing. See http.c for how it is run.
 */
#include <stdint.h>
#include <stdlib.h>

#include "serve/escape.h"
#include "serve/listing.h"
#include "serve/negotiate.h"
#include "serve/pattern.h"
#include "serve/proxy.h"
#include "serve/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void negotiate(struct span text)
{
	uint32_t encodings = negotiate_encodings(text), seen = 0;
	enum encoding encoding;
	bool named;

	must((encodings & ~(uint32_t)ENCODINGS_MASK) == 0);
	while ((encoding = negotiate_next(&encodings)) != ENCODING_IDENTITY) {
		must((seen & 1u << encoding) == 0);
		seen |= 1u << encoding;
	}
	must(negotiate_media(text, span_of("text/html"), &named) <= 1000);
	listing_wants_json(text);
	must(listing_view_number(listing_read_query(text)) < LISTING_VIEWS);
}

/* Nothing of a name gets out of its place. */
static void escape(struct span text)
{
	struct buffer html = {0}, json = {0}, url = {0};

	escape_html(&html, text);
	escape_json(&json, text);
	escape_url(&url, text);
	for (size_t i = 0; i < html.length; i++)
		must(strchr("<>\"'\n\r", html.base[i]) == NULL);
	for (size_t i = 0; i < json.length; i++) {
		must((unsigned char)json.base[i] >= 0x20);
		if (json.base[i] == '\\')
			must(++i < json.length);
		else
			must(json.base[i] != '"');
	}
	for (size_t i = 0; i < url.length; i++)
		must((unsigned char)url.base[i] > 0x20 && (unsigned char)url.base[i] < 0x7f &&
		     strchr("<>\"'&:?#", url.base[i]) == NULL);
	buffer_dispose(&html);
	buffer_dispose(&json);
	buffer_dispose(&url);
}

static void ignore(void *token, const char *file, unsigned int line, const char *what)
{
}

/* Each line that is written is one header; no target has a line end. */
static void read_rules(struct span text)
{
	static const char *const paths[] = {"/", "/a/b", "/old", "/a\r\nX: y"};
	struct rules *rules = rules_create();
	struct buffer buffer = {0};

	must(rules != NULL);
	rules_read_headers(rules, text, ignore, NULL);
	rules_read_redirects(rules, text, ignore, NULL);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		buffer.length = 0;
		rules_write_headers(rules, span_of(paths[i]), &buffer);
		for (size_t at = 0; at < buffer.length; at++) {
			bool line_end = buffer.base[at] == '\r';

			must(buffer.base[at] != '\n' && buffer.base[at] != '\0');
			must(!line_end || (at + 1 < buffer.length && buffer.base[at + 1] == '\n'));
			at += line_end;
		}
		buffer.length = 0;
		if (rules_redirect(rules, span_of(paths[i]), span_of("?q"), false, &buffer) > 0)
			must(memchr(buffer.base, '\n', buffer.length) == NULL &&
			     memchr(buffer.base, '\r', buffer.length) == NULL);
	}
	buffer_dispose(&buffer);
	rules_release(rules);
}

static void read_proxy(struct span text)
{
	struct proxy_address client = {0};
	struct proxy_net net = {0};
	char shown[INET6_ADDRSTRLEN];
	size_t length = 0;

	if (proxy_read(text.at, text.length, &length, &client) == PROXY_COMPLETE)
		must(length > 0 && length <= text.length && length <= PROXY_HEADER_MAX);
	proxy_write(&client, shown);
	client = proxy_forwarded(text, text, &net, 1);
	proxy_write(&client, shown);
	client = proxy_forwarded((struct span){NULL, 0}, text, &net, 1);
	proxy_write(&client, shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own: what reads beyond the end is seen. */
	char *text = malloc(size > 0 ? size : 1);
	struct span span = {text, size};

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	negotiate(span);
	escape(span);
	read_rules(span);
	read_proxy(span);
	free(text);
	return 0;
}
