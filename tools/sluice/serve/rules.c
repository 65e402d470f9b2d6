/* SPDX-License-Identifier: MIT */
#include "serve/rules.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "serve/pattern.h"

struct header_rule {
	struct span pattern; /* at NULL: every answer */
	struct span name;
	struct span value;
};

struct redirect_rule {
	struct span pattern;
	struct span target;
	uint16_t status;
	bool forced; /* also if the path exists */
};

struct rules {
	atomic_uint references;
	struct header_rule *headers;
	size_t header_count;
	struct redirect_rule *redirects;
	size_t redirect_count;
	bool has_forced;
	char **texts; /* into which the spans point */
	size_t text_count;
};

/* A file being parsed. */
struct reading {
	struct rules *rules;
	const char *file;
	unsigned int line;
	bool failed;
	rules_complain_fn *complain;
	void *token;
};

static void wrong(struct reading *reading, const char *what)
{
	reading->complain(reading->token, reading->file, reading->line, what);
	reading->failed = true;
}

struct rules *rules_create(void)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (rules != NULL)
		atomic_init(&rules->references, 1);
	return rules;
}

struct rules *rules_hold(struct rules *rules)
{
	atomic_fetch_add(&rules->references, 1);
	return rules;
}

void rules_release(struct rules *rules)
{
	if (rules == NULL || atomic_fetch_sub(&rules->references, 1) > 1)
		return;
	for (size_t i = 0; i < rules->text_count; i++)
		free(rules->texts[i]);
	free(rules->texts);
	free(rules->headers);
	free(rules->redirects);
	free(rules);
}

/* Appends an element to an array that grows by powers of two; NULL: out of memory. */
static void *add_element(void **array, size_t *count, size_t size)
{
	if ((*count & (*count - 1)) == 0) {
		void *larger = reallocarray(*array, *count > 0 ? *count * 2 : 1, size);

		if (larger == NULL)
			return NULL;
		*array = larger;
	}
	return (char *)*array + (*count)++ * size;
}

/* Frees the memory with the rules, or at once if that fails. */
static bool keep_memory(struct rules *rules, char *memory)
{
	char **kept = add_element((void **)&rules->texts, &rules->text_count, sizeof(*kept));

	if (kept == NULL) {
		free(memory);
		return false;
	}
	*kept = memory;
	return true;
}

/* Removes the text up to the end of the line. */
static struct span take_line(struct span *text)
{
	const char *end = memchr(text->at, '\n', text->length);
	struct span line = {text->at, end != NULL ? (size_t)(end - text->at) : text->length};

	*text = span_from(*text, line.length + (end != NULL));
	if (line.length > 0 && line.at[line.length - 1] == '\r')
		line.length--;
	return line;
}

static struct span take_word(struct span *line)
{
	struct span word;

	*line = span_trim(*line);
	word = (struct span){line->at, 0};
	while (word.length < line->length && line->at[word.length] != ' ' &&
	       line->at[word.length] != '\t')
		word.length++;
	*line = span_from(*line, word.length);
	return word;
}

/* Copies the text for the spans of the rules. False: too long, or out of memory. */
static bool keep_text(struct reading *reading, struct span *text)
{
	char *copy;

	if (text->length > RULES_TEXT_MAX) {
		wrong(reading, "the file is too large");
		return false;
	}
	copy = malloc(text->length + 1);
	if (copy == NULL || !keep_memory(reading->rules, copy)) {
		wrong(reading, "out of memory");
		return false;
	}
	memcpy(copy, text->at, text->length);
	text->at = copy;
	return true;
}

/* Headers */

/* Headers that the server sets itself and must be able to rely on. */
static bool is_reserved(struct span name)
{
	static const char *const names[] = {
		"Accept-Ranges",
		"Connection",
		"Content-Encoding",
		"Content-Length",
		"Content-Range",
		"Content-Type",
		"Date",
		"ETag",
		"Keep-Alive",
		"Last-Modified",
		"Location",
		"Server",
		"Trailer",
		"Transfer-Encoding",
		"Upgrade",
		"Vary",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (span_matches(name, span_of(names[i])))
			return true;
	}
	return false;
}

static bool is_name(struct span name)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.length; i++) {
		if (name.at[i] == '\0' || strchr(token, name.at[i]) == NULL)
			return false;
	}
	return name.length > 0;
}

static bool is_value(struct span value)
{
	for (size_t i = 0; i < value.length; i++) {
		unsigned char character = (unsigned char)value.at[i];

		if ((character < 0x20 && character != '\t') || character == 0x7f)
			return false;
	}
	return value.length > 0;
}

static const char *add_header(struct rules *rules, struct span pattern, struct span line)
{
	const char *colon = memchr(line.at, ':', line.length);
	struct header_rule header = {.pattern = pattern}, *added;

	if (colon == NULL)
		return "a header needs a colon after its name";
	header.name = span_trim((struct span){line.at, (size_t)(colon - line.at)});
	header.value = span_trim(span_from(line, (size_t)(colon - line.at) + 1));
	if (!is_name(header.name))
		return "invalid header name";
	if (is_reserved(header.name))
		return "this header is set by the server";
	if (!is_value(header.value))
		return "invalid header value";
	added = add_element((void **)&rules->headers, &rules->header_count, sizeof(header));
	if (added == NULL)
		return "out of memory";
	*added = header;
	return NULL;
}

const char *rules_add_option(struct rules *rules, char *header)
{
	if (!keep_memory(rules, header))
		return "out of memory";
	return add_header(rules, (struct span){NULL, 0}, span_of(header));
}

static void read_header_line(struct reading *reading, struct span line, struct span *pattern)
{
	bool indented = line.length > 0 && (line.at[0] == ' ' || line.at[0] == '\t');
	const char *what;

	line = span_trim(line);
	if (line.length == 0 || line.at[0] == '#')
		return;
	if (!indented) {
		what = pattern_check(line);
		*pattern = what == NULL ? line : (struct span){NULL, 0};
	} else if (pattern->at == NULL) {
		what = "a header must follow a pattern";
	} else if (reading->rules->header_count >= RULES_MAX) {
		what = "too many headers";
	} else {
		what = add_header(reading->rules, *pattern, line);
	}
	if (what != NULL)
		wrong(reading, what);
}

bool rules_read_headers(struct rules *rules, struct span text, rules_complain_fn *complain,
			void *token)
{
	struct reading reading = {rules, "_headers", 0, false, complain, token};
	struct span pattern = {NULL, 0};

	if (!keep_text(&reading, &text))
		return false;
	while (text.length > 0) {
		reading.line++;
		read_header_line(&reading, take_line(&text), &pattern);
	}
	return !reading.failed;
}

static bool header_applies(const struct header_rule *header, struct span path)
{
	struct pattern_match match;

	return header->pattern.at == NULL ||
	       (path.at != NULL && pattern_matches(header->pattern, path, &match));
}

/*
 * Whether another applicable header, of the file or before this one, has already been merged with
 * this one.
 */
static bool is_written(const struct rules *rules, size_t index, struct span path)
{
	const struct header_rule *header = &rules->headers[index];

	for (size_t i = 0; i < rules->header_count; i++) {
		const struct header_rule *other = &rules->headers[i];
		bool replaces = header->pattern.at == NULL && other->pattern.at != NULL;
		bool joins = (header->pattern.at == NULL) == (other->pattern.at == NULL);

		if ((replaces || (joins && i < index)) && span_matches(header->name, other->name) &&
		    header_applies(other, path))
			return true;
	}
	return false;
}

void rules_write_headers(const struct rules *rules, struct span path, struct buffer *buffer)
{
	for (size_t i = 0; i < rules->header_count; i++) {
		const struct header_rule *header = &rules->headers[i];

		if (!header_applies(header, path) || is_written(rules, i, path))
			continue;
		buffer_add(buffer, header->name);
		buffer_add_string(buffer, ": ");
		buffer_add(buffer, header->value);
		for (size_t j = i + 1; j < rules->header_count; j++) {
			const struct header_rule *other = &rules->headers[j];

			if ((other->pattern.at == NULL) != (header->pattern.at == NULL) ||
			    !span_matches(other->name, header->name) ||
			    !header_applies(other, path))
				continue;
			buffer_add_string(buffer, ", ");
			buffer_add(buffer, other->value);
		}
		buffer_add_string(buffer, "\r\n");
	}
}

bool rules_have_headers(const struct rules *rules)
{
	return rules->header_count > 0;
}

/* Redirects */

static bool is_url(struct span target)
{
	return (target.length > 8 &&
		span_matches((struct span){target.at, 8}, span_of("https://"))) ||
	       (target.length > 7 && span_matches((struct span){target.at, 7}, span_of("http://")));
}

/* "301", "302!"; 0: unknown. */
static uint16_t read_status(struct span word, bool *ret_forced)
{
	static const uint16_t known[] = {200, 301, 302, 303, 307, 308, 404};
	uint16_t status = 0;

	*ret_forced = word.length == 4 && word.at[3] == '!';
	if (word.length != 3 && !*ret_forced)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (word.at[i] < '0' || word.at[i] > '9')
			return 0;
		status = (uint16_t)(status * 10 + (word.at[i] - '0'));
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i] == status)
			return status;
	}
	return 0;
}

static bool is_rewrite(uint16_t status)
{
	return status == 200 || status == 404;
}

static const char *check_redirect(const struct redirect_rule *rule)
{
	const char *what = pattern_check(rule->pattern);

	if (what != NULL)
		return what;
	if (rule->status == 0)
		return "the status must be 200, 301, 302, 303, 307, 308 or 404, or one with a !";
	if (rule->target.length == 0)
		return "missing target";
	if (rule->target.at[0] != '/' && (is_rewrite(rule->status) || !is_url(rule->target)))
		return is_rewrite(rule->status) ? "with status 200 or 404 the target must be a path"
						: "the target must be a path or a URL";
	/* "//host" would also be a URL. */
	if (rule->target.length > 1 && rule->target.at[0] == '/' && rule->target.at[1] == '/')
		return "a path must begin with one slash";
	return is_value(rule->target) ? NULL : "invalid target";
}

static void read_redirect_line(struct reading *reading, struct span line)
{
	struct redirect_rule rule = {.status = 301}, *added;
	struct rules *rules = reading->rules;
	struct span status;
	const char *what;

	rule.pattern = take_word(&line);
	if (rule.pattern.length == 0 || rule.pattern.at[0] == '#')
		return;
	rule.target = take_word(&line);
	status = take_word(&line);
	if (status.length > 0 && status.at[0] != '#') {
		rule.status = read_status(status, &rule.forced);
		status = take_word(&line);
	}
	what = check_redirect(&rule);
	if (what == NULL && status.length > 0 && status.at[0] != '#')
		what = "conditions are not supported";
	if (what == NULL && rules->redirect_count >= RULES_MAX)
		what = "too many redirects";
	if (what != NULL) {
		wrong(reading, what);
		return;
	}
	added = add_element((void **)&rules->redirects, &rules->redirect_count, sizeof(rule));
	if (added == NULL) {
		wrong(reading, "out of memory");
		return;
	}
	*added = rule;
	rules->has_forced |= rule.forced;
}

bool rules_read_redirects(struct rules *rules, struct span text, rules_complain_fn *complain,
			  void *token)
{
	struct reading reading = {rules, "_redirects", 0, false, complain, token};

	if (!keep_text(&reading, &text))
		return false;
	while (text.length > 0) {
		reading.line++;
		read_redirect_line(&reading, take_line(&text));
	}
	return !reading.failed;
}

bool rules_have_redirects(const struct rules *rules)
{
	return rules->redirect_count > 0;
}

bool rules_have_forced(const struct rules *rules)
{
	return rules->has_forced;
}

int rules_redirect(const struct rules *rules, struct span path, struct span query, bool forced,
		   struct buffer *target)
{
	for (size_t i = 0; i < rules->redirect_count; i++) {
		const struct redirect_rule *rule = &rules->redirects[i];
		struct pattern_match match;

		if ((forced && !rule->forced) || !pattern_matches(rule->pattern, path, &match))
			continue;
		target->length = 0;
		pattern_replace(target, rule->target, &match);
		/* A redirect to itself would loop. */
		if (!is_rewrite(rule->status) && target->length == path.length &&
		    memcmp(target->base, path.at, path.length) == 0)
			continue;
		if (!is_rewrite(rule->status) &&
		    memchr(rule->target.at, '?', rule->target.length) == NULL)
			buffer_add(target, query);
		return rule->status;
	}
	return 0;
}
